//! The transformations of a stream, one file each.

mod cache;
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
mod partition_by;
mod reduce;
mod reduce_by_key;
mod repartition;
mod right_outer_join;
pub(crate) mod transform;
mod transform_with;
pub(crate) mod union;
