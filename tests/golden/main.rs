//! The engine against Spark and against plain definitions: recorded cases of
//! Apache Spark (`golden`), and random programs.

mod bundle;
mod case;
mod engine;
mod functions;
mod golden;
mod naive;
mod pid;
mod printed;
mod program;
mod random;
mod report;
mod value;
