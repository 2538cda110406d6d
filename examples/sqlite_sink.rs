//! Counts words in files, into a SQLite database: each word once, whatever happens.
//!
//! Without an argument it makes a directory, moves files into it, and runs twice: the
//! first time it ends in the middle, as by a crash, and the second time it goes on.
//!
//! ```text
//! cargo run --release --features sqlite --example sqlite_sink
//! ```
//!
//! With a directory and a database it counts the files that are moved there, until
//! Ctrl-C, and goes on when it is started again; it may also be killed. Its checkpoints
//! are in a directory beside the database.
//!
//! ```text
//! cargo run --release --features sqlite --example sqlite_sink -- /tmp/texts /tmp/words.db
//! sqlite3 /tmp/words.db 'SELECT * FROM words ORDER BY count DESC LIMIT 10'
//! ```

mod common;

use std::path::{Path, PathBuf};

use common::{Input, OwnDirectory, TEXT};
use millstream::Error;
use millstream::dstream::{PartitionId, TransactionalSink};
use millstream::prelude::*;
use millstream::shared::Pool;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

/// The words, and the ids of what was added to them.
const TABLES: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    CREATE TABLE IF NOT EXISTS words (word TEXT PRIMARY KEY, count INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS written (
        app TEXT, output TEXT, batch_ms INTEGER, part INTEGER,
        PRIMARY KEY (app, output, batch_ms, part)
    ) WITHOUT ROWID;";

struct Words {
    connection: Connection,
}

impl Words {
    fn open(path: &Path) -> millstream::Result<Self> {
        let open = || {
            let connection = Connection::open(path)?;
            // SQLite has one writer at a time; the others wait.
            connection.busy_timeout(Duration::from_secs(10))?;
            connection.execute_batch(TABLES)?;
            Ok(Self { connection })
        };
        open().map_err(|error: rusqlite::Error| Error::other(error))
    }

    fn find(&self, id: &PartitionId) -> rusqlite::Result<bool> {
        let sql = "SELECT 1 FROM written
            WHERE app = ?1 AND output = ?2 AND batch_ms = ?3 AND part = ?4";
        let mut select = self.connection.prepare_cached(sql)?;
        let part = id.partition as i64;
        let id = params![id.app, id.output, id.batch_time.as_millis(), part];
        Ok(select.query_row(id, |_| Ok(())).optional()?.is_some())
    }

    fn add(&mut self, id: &PartitionId, counts: &[(Str, u64)]) -> rusqlite::Result<()> {
        // Rolled back if it is dropped.
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut add = transaction.prepare_cached(
                "INSERT INTO words VALUES (?1, ?2)
                 ON CONFLICT (word) DO UPDATE SET count = count + excluded.count",
            )?;
            for (word, count) in counts {
                add.execute(params![&**word, *count as i64])?;
            }
            let mut note =
                transaction.prepare_cached("INSERT INTO written VALUES (?1, ?2, ?3, ?4)")?;
            let part = id.partition as i64;
            note.execute(params![id.app, id.output, id.batch_time.as_millis(), part])?;
        }
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
        [] => {
            let own = OwnDirectory::new("sqlite-sink")?;
            let (files, database) = (own.join("files"), own.join("words.db"));
            std::fs::create_dir(&files)?;
            let input = Input::own(files.display().to_string(), Duration::from_millis(200));
            let lines: Vec<_> = TEXT.lines().collect();
            let (first, second) = lines.split_at(lines.len() / 2);

            let ssc = start(&input, &database)?;
            common::move_files_to(&files, "first", first)?;
            // Not gracefully: what it is at is neither finished nor saved.
            ssc.stop(false)?;

            let ssc = start(&input, &database)?;
            common::move_files_to(&files, "second", second)?;
            if !ssc.await_termination_or_timeout(input.run_for)? {
                ssc.stop(true)?;
            }
            input.report(summary(&database)?);
        }
        [directory, database] => {
            let (input, database) = (Input::given(directory.clone()), PathBuf::from(database));
            let ssc = start(&input, &database)?;
            ssc.await_termination()?;
            input.report(summary(&database)?);
        }
        _ => return Err(common::usage("sqlite_sink", "[<directory> <database>]")),
    }
    Ok(())
}

/// Begins, or goes on.
fn start(input: &Input, database: &Path) -> millstream::Result<StreamingContext> {
    // A new database is set up by one connection, not by several at once.
    Words::open(database)?;
    let ssc = StreamingContext::get_or_create(database.with_extension("checkpoints"), || {
        let ssc = StreamingContext::builder()
            .app_name("SqliteSink")
            .batch_interval(input.second)
            .build()?;
        let path = database.to_owned();
        let connections = Pool::new(4, Duration::from_secs(60), move || Words::open(&path));
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

fn summary(database: &Path) -> millstream::Result<String> {
    let words = Words::open(database)?;
    let row = words
        .connection
        .query_row("SELECT COUNT(*), SUM(count) FROM words", [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?))
        });
    let (distinct, all) = row.map_err(Error::other)?;
    let all = all.unwrap_or(0);
    Ok(format!(
        "{all} words in the database, {distinct} of them distinct"
    ))
}
