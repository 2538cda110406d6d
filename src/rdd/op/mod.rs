//! The operations on an Rdd, one file each.

pub(crate) mod cache;
pub(crate) mod collect;
pub(crate) mod combine_by_key;
pub(crate) mod count;
pub(crate) mod count_by_value;
pub(crate) mod filter;
pub(crate) mod flat_map;
pub(crate) mod for_each_partition;
pub(crate) mod group_by_key;
pub(crate) mod map;
pub(crate) mod map_values;
pub(crate) mod reduce;
pub(crate) mod reduce_by_key;
pub(crate) mod repartition;
pub(crate) mod save_as_text_file;
pub(crate) mod union;
