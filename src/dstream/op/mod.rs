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
mod reduce;
mod reduce_by_key;
mod repartition;
pub(crate) mod transform;
pub(crate) mod union;
