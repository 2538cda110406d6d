//! stub
use crate::{Result, args::Args};
/// stub
pub fn sweep(_: &Args) -> Result<()> {
    Ok(())
}
