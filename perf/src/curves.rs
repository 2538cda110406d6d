//! stub
use crate::{Result, args::Args};
/// stub
pub fn curves(_: &Args) -> Result<()> {
    Ok(())
}
