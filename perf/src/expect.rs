//! Computes the results that the definitions pin.

use crate::args::Args;
use crate::compare::told;
use crate::lab::Lab;
use crate::{Result, definition, twin};

/// Runs `expect`: prints a line for each case and size.
///
/// # Errors
/// If a definition or an input cannot be read.
pub fn expect(args: &Args) -> Result<()> {
    let lab = Lab::open()?;
    for definition in definition::read_all(&lab.home.join("definitions"))? {
        for case in definition.case.iter().filter(|case| args.wants(&case.name)) {
            let sizes = [("full", &case.full), ("quick", &case.quick)];
            for (name, size) in sizes {
                if args.quick && name == "full" {
                    continue;
                }
                let after = [size.warm_up];
                let results = twin::results(case, definition.program, size, &lab.data, &after)?;
                println!("{} {name} {}", case.name, told(results[&size.warm_up]));
            }
        }
    }
    Ok(())
}
