//! Cases of the rate estimator.

use millstream::rate::{PidOptions, PidRateEstimator};
use millstream::time::Duration;
use serde::Deserialize;

#[derive(Deserialize)]
struct PidCase {
    params: Params,
    /// End, records, processing delay and scheduling delay of each batch; times in
    /// milliseconds.
    input: Vec<(i64, u64, u64, u64)>,
    output: Vec<Option<f64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    batch_ms: u64,
    proportional: f64,
    integral: f64,
    derivative: f64,
    min_rate: f64,
}

/// Runs a case of kind `pid`.
pub(crate) fn pid(json: &str) -> Result<(), String> {
    let case: PidCase = serde_json::from_str(json).map_err(|error| error.to_string())?;
    if case.input.len() != case.output.len() {
        return Err("as many rates as batches are needed".to_owned());
    }
    let options = PidOptions {
        proportional: case.params.proportional,
        integral: case.params.integral,
        derivative: case.params.derivative,
        min_rate: case.params.min_rate,
    };
    let interval = Duration::from_millis(case.params.batch_ms);
    let estimator = PidRateEstimator::new(interval, options);
    let mut estimator = estimator.map_err(|error| error.to_string())?;
    for (batch, expected) in case.input.iter().zip(&case.output) {
        let &(end, records, processing, scheduling) = batch;
        let got = estimator.compute(
            end * 1_000_000,
            records,
            Duration::from_millis(processing),
            Duration::from_millis(scheduling),
        );
        let same = match (got, *expected) {
            (Some(got), Some(expected)) => (got - expected).abs() <= 1e-9 * expected.abs(),
            (got, expected) => got == expected,
        };
        if !same {
            return Err(format!(
                "batch {batch:?}\n  expected {expected:?}\n  got      {got:?}"
            ));
        }
    }
    Ok(())
}
