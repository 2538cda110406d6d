//! Counts words in files, into a PostgreSQL database: each word once, whatever happens.
//!
//! With the address of a database it makes a directory, moves files into it, and runs
//! twice: the first time it ends in the middle, as by a crash, and the second time it
//! goes on. Its tables there are `millstream_words` and `millstream_written`, which it
//! makes anew.
//!
//! ```text
//! cargo run --release --features postgres --example postgres_sink -- \
//!     postgresql://user:password@localhost/database
//! ```
//!
//! With a directory as well it counts the files that are moved there, until Ctrl-C, and
//! goes on when it is started again; it may also be killed. Its checkpoints are in the
//! directory `postgres-sink.checkpoints`.

mod common;

use std::path::Path;

use common::{Input, OwnDirectory, TEXT};
use millstream::Error;
use millstream::dstream::{PartitionId, TransactionalSink};
use millstream::prelude::*;
use millstream::shared::Pool;
use postgres::{Client, NoTls};

/// The words, and the ids of what was added to them.
const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS millstream_words (word TEXT PRIMARY KEY, count BIGINT NOT NULL);
    CREATE TABLE IF NOT EXISTS millstream_written (
        app TEXT, output TEXT, batch_ms BIGINT, part BIGINT,
        PRIMARY KEY (app, output, batch_ms, part)
    );";

struct Words {
    client: Client,
}

impl Words {
    fn connect(address: &str) -> millstream::Result<Self> {
        let client = Client::connect(address, NoTls).map_err(Error::other)?;
        Ok(Self { client })
    }

    fn find(&mut self, id: &PartitionId) -> Result<bool, postgres::Error> {
        let sql = "SELECT FROM millstream_written
            WHERE app = $1 AND output = $2 AND batch_ms = $3 AND part = $4";
        let (batch_ms, part) = (id.batch_time.as_millis(), id.partition as i64);
        let row = self
            .client
            .query_opt(sql, &[&&*id.app, &&*id.output, &batch_ms, &part])?;
        Ok(row.is_some())
    }

    fn add(&mut self, id: &PartitionId, counts: &[(Str, u64)]) -> Result<(), postgres::Error> {
        let words: Vec<&str> = counts.iter().map(|(word, _)| &**word).collect();
        let counts: Vec<i64> = counts.iter().map(|(_, count)| *count as i64).collect();
        let (batch_ms, part) = (id.batch_time.as_millis(), id.partition as i64);
        // Rolled back if it is dropped.
        let mut transaction = self.client.transaction()?;
        transaction.execute(
            "INSERT INTO millstream_words SELECT * FROM UNNEST($1::TEXT[], $2::BIGINT[])
             ON CONFLICT (word) DO UPDATE SET count = millstream_words.count + excluded.count",
            &[&words, &counts],
        )?;
        transaction.execute(
            "INSERT INTO millstream_written VALUES ($1, $2, $3, $4)",
            &[&&*id.app, &&*id.output, &batch_ms, &part],
        )?;
        transaction.commit()
    }
}

impl TransactionalSink<(Str, u64)> for Words {
    fn is_written(&mut self, id: &PartitionId) -> millstream::Result<bool> {
        self.find(id).map_err(Error::other)
    }

    fn write(&mut self, id: &PartitionId, counts: &[(Str, u64)]) -> millstream::Result<()> {
        self.add(id, counts).map_err(Error::other)
    }
}

fn main() -> millstream::Result<()> {
    common::log_to_stderr();
    match &common::arguments()[..] {
        [address] => {
            let mut words = Words::connect(address)?;
            let drop = "DROP TABLE IF EXISTS millstream_words, millstream_written";
            words.client.batch_execute(drop).map_err(Error::other)?;

            let own = OwnDirectory::new("postgres-sink")?;
            let (files, checkpoints) = (own.join("files"), own.join("checkpoints"));
            std::fs::create_dir(&files)?;
            let input = Input::own(files.display().to_string(), Duration::from_millis(200));
            let lines: Vec<_> = TEXT.lines().collect();
            let (first, second) = lines.split_at(lines.len() / 2);

            let ssc = start(&input, &checkpoints, address)?;
            common::move_files_to(&files, "first", first)?;
            // Not gracefully: what it is at is neither finished nor saved.
            ssc.stop(false)?;

            let ssc = start(&input, &checkpoints, address)?;
            common::move_files_to(&files, "second", second)?;
            if !ssc.await_termination_or_timeout(input.run_for)? {
                ssc.stop(true)?;
            }
            input.report(summary(&mut words)?);
        }
        [address, directory] => {
            let input = Input::given(directory.clone());
            let ssc = start(&input, Path::new("postgres-sink.checkpoints"), address)?;
            ssc.await_termination()?;
            input.report(summary(&mut Words::connect(address)?)?);
        }
        _ => return Err(common::usage("postgres_sink", "<address> [<directory>]")),
    }
    Ok(())
}

/// Begins, or goes on.
fn start(input: &Input, checkpoints: &Path, address: &str) -> millstream::Result<StreamingContext> {
    let ssc = StreamingContext::get_or_create(checkpoints, || {
        let mut words = Words::connect(address)?;
        words.client.batch_execute(TABLES).map_err(Error::other)?;

        let ssc = StreamingContext::builder()
            .app_name("PostgresSink")
            .batch_interval(input.second)
            .build()?;
        let address = address.to_owned();
        let connections = Pool::new(4, Duration::from_secs(60), move || Words::connect(&address));
        ssc.text_file_stream(&input.address)?
            .flat_map(|line| line.split(' '))
            .map(|word| (word, 1u64))
            .reduce_by_key(|a, b| a + b)
            .for_each_partition_once("words", connections)?;
        Ok(ssc)
    })?;
    common::stop_at_ctrl_c(&ssc)?;
    ssc.start()?;
    Ok(ssc)
}

fn summary(words: &mut Words) -> millstream::Result<String> {
    let sql = "SELECT COUNT(*), COALESCE(SUM(count), 0)::BIGINT FROM millstream_words";
    let row = words.client.query_one(sql, &[]).map_err(Error::other)?;
    let (distinct, all): (i64, i64) = (row.get(0), row.get(1));
    Ok(format!(
        "{all} words in the database, {distinct} of them distinct"
    ))
}
