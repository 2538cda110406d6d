//! The transformations of a stream, one file each.

mod cache;
#[cfg(feature = "checkpoint")]
mod checkpoint;
mod cogroup;
mod combine_by_key;
mod count;
mod count_by_value;
mod filter;
mod flat_map;
mod flat_map_values;
mod full_outer_join;
mod glom;
mod group_by_key;
mod join;
mod left_outer_join;
mod map;
mod map_partitions;
mod map_values;
pub(crate) mod map_with_state;
mod partition_by;
#[cfg(feature = "checkpoint")]
mod persist;
mod reduce;
mod reduce_by_key;
mod repartition;
mod right_outer_join;
pub(crate) mod transform;
mod transform_with;
#[cfg(feature = "checkpoint")]
mod uid;
pub(crate) mod union;
pub(crate) mod update_state_by_key;

#[cfg(test)]
mod tests;
