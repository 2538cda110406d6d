//! Apache Spark, from the `pyspark` wheel: its jars, and the Scala compiler among them.
//!
//! `engines/spark/install` puts the wheel where this looks for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;

/// What Spark opens of the JVM's own modules on Java 17.
const OPENS: &[&str] = &[
    "java.base/java.lang",
    "java.base/java.lang.invoke",
    "java.base/java.lang.reflect",
    "java.base/java.io",
    "java.base/java.net",
    "java.base/java.nio",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/sun.nio.ch",
    "java.base/sun.nio.cs",
    "java.base/sun.security.action",
    "java.base/sun.util.calendar",
];

/// The command that starts the engine, which is compiled if need be; or why it is not
/// to be had here.
///
/// # Errors
/// If its program does not compile.
pub fn command(home: &Path) -> Result<std::result::Result<Command, String>> {
    if Command::new("java").arg("-version").output().is_err() {
        return Ok(Err("there is no java".to_owned()));
    }
    let Some(jars) = jars(home) else {
        let reason = "there is no pyspark wheel; engines/spark/install gets it";
        return Ok(Err(reason.to_owned()));
    };
    let classes = home.join("target/spark-classes");
    let sources = home.join("engines/spark");
    compile(&sources, &classes, &jars)?;
    let mut java = Command::new("java");
    java.args(["-Xms6g", "-Xmx6g", "-XX:+UseParallelGC"]);
    for package in OPENS {
        java.arg(format!("--add-opens={package}=ALL-UNNAMED"));
    }
    let log = sources.join("log4j2.properties");
    java.arg(format!("-Dlog4j2.configurationFile={}", log.display()));
    // Spark says much, also when all is well; what goes wrong, the engine tells.
    java.stderr(fs::File::create(home.join("target/spark.log"))?);
    java.arg("-cp")
        .arg(format!("{}:{}/*", classes.display(), jars.display()))
        .arg("org.apache.spark.streaming.perf.Main");
    Ok(Ok(java))
}

/// The folder of Spark's jars.
fn jars(home: &Path) -> Option<PathBuf> {
    let lib = home.join("target/spark/lib");
    let pythons = fs::read_dir(lib).ok()?.filter_map(Result::ok);
    pythons
        .map(|python| python.path().join("site-packages/pyspark/jars"))
        .find(|jars| jars.is_dir())
}

fn compile(sources: &Path, classes: &Path, jars: &Path) -> Result<()> {
    let mut files: Vec<PathBuf> = fs::read_dir(sources)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.retain(|file| file.extension().is_some_and(|ext| ext == "scala"));
    let stamp = classes.join("compiled");
    let compiled = fs::metadata(&stamp).and_then(|stamp| stamp.modified()).ok();
    let newer = |file: &PathBuf| {
        let changed = fs::metadata(file).and_then(|file| file.modified()).ok();
        changed > compiled
    };
    if !files.iter().any(newer) {
        return Ok(());
    }
    eprintln!("compiles the programs for Spark");
    fs::create_dir_all(classes)?;
    let status = Command::new("java")
        .arg("-cp")
        .arg(format!("{}/*", jars.display()))
        .args(["scala.tools.nsc.Main", "-usejavacp", "-d"])
        .arg(classes)
        .args(&files)
        .status()?;
    if !status.success() {
        return Err("the programs for Spark do not compile".into());
    }
    fs::write(stamp, "")?;
    Ok(())
}
