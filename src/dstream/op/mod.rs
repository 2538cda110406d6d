//! The transformations of a stream, one file each.

mod cache;
mod combine_by_key;
mod count;
mod count_by_value;
mod filter;
mod flat_map;
mod group_by_key;
mod map;
mod map_values;
pub(crate) mod map_with_state;
mod reduce;
mod reduce_by_key;
mod repartition;
pub(crate) mod transform;
pub(crate) mod union;
pub(crate) mod update_state_by_key;

#[cfg(test)]
mod tests;
