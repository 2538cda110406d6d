//! The simulated disk itself.

use std::io::SeekFrom;

use proptest::prelude::*;

use super::*;
use crate::disk::EntryKind;

const FILE: &str = "/dir/file";

fn path(path: &str) -> &Path {
    Path::new(path)
}

fn text(disk: &SimDisk, name: &str) -> Result<String> {
    let mut bytes = Vec::new();
    disk.open(path(name))?.read_to_end(&mut bytes)?;
    Ok(bytes.escape_ascii().to_string())
}

/// A disk with a durable directory.
fn with_dir() -> SimDisk {
    let disk = SimDisk::new();
    disk.create_dir(path("/dir")).unwrap();
    disk.sync_dir(path("/")).unwrap();
    disk
}

/// After all that was done.
fn crashed(disk: &SimDisk, survives: Survives) -> SimDisk {
    disk.crash(disk.operations(), survives)
}

/// What `probe` says of the disk after many crashes, each thing once.
fn outcomes(disk: &SimDisk, probe: impl Fn(&SimDisk) -> String) -> BTreeSet<String> {
    let seeds = 0..400;
    seeds
        .map(|seed| probe(&crashed(disk, Survives::Some(seed))))
        .collect()
}

fn set(expected: &[&str]) -> BTreeSet<String> {
    expected.iter().copied().map(String::from).collect()
}

#[test]
fn it_is_a_disk() {
    let disk = with_dir();
    let mut file = disk.create(path(FILE)).unwrap();
    file.append(b"one ").unwrap();
    file.append(b"two").unwrap();
    assert_eq!(text(&disk, FILE).unwrap(), "one two");
    assert_eq!(disk.used_bytes(), 7);
    disk.rename(path(FILE), path("/dir/other")).unwrap();
    disk.create_dir(path("/dir")).unwrap();
    disk.create_dir(path("/dir/below")).unwrap();
    assert_eq!(
        disk.list(path("/dir")).unwrap(),
        [
            Entry::new("below", EntryKind::Directory),
            Entry::new("other", EntryKind::File)
        ]
    );
    let mut reader = disk.open(path("/dir/other")).unwrap();
    reader.seek(SeekFrom::Start(4)).unwrap();
    file.append(b" three").unwrap();
    assert_eq!(std::io::read_to_string(reader).unwrap(), "two");
    disk.remove(path("/dir/other")).unwrap();
    assert_eq!(disk.used_bytes(), 0);
}

#[test]
fn what_cannot_be_is_refused() {
    let disk = with_dir();
    disk.create(path(FILE)).unwrap();
    let kind = |done: Result<()>| done.unwrap_err().kind();
    assert_eq!(
        kind(disk.create(path(FILE)).map(drop)),
        ErrorKind::AlreadyExists
    );
    assert_eq!(
        kind(disk.create(path("/none/file")).map(drop)),
        ErrorKind::NotFound
    );
    assert_eq!(
        kind(disk.open(path("/none")).map(drop)),
        ErrorKind::NotFound
    );
    assert_eq!(
        kind(disk.open(path("/dir")).map(drop)),
        ErrorKind::IsADirectory
    );
    assert_eq!(kind(disk.create_dir(path(FILE))), ErrorKind::NotADirectory);
    assert_eq!(kind(disk.remove(path("/none"))), ErrorKind::NotFound);
    assert_eq!(kind(disk.sync_dir(path("/none"))), ErrorKind::NotFound);
    let lock = disk.lock(path("/dir")).unwrap();
    assert_eq!(
        kind(disk.lock(path("/dir")).map(drop)),
        ErrorKind::ResourceBusy
    );
    drop(lock);
    let _lock = disk.lock(path("/dir")).unwrap();
}

#[test]
fn a_crash_of_the_process_loses_nothing_written() {
    let disk = with_dir();
    let mut file = disk.create(path(FILE)).unwrap();
    file.append(b"ab").unwrap();
    let before = disk.operations();
    file.append(b"cd").unwrap();
    let at = |operations| text(&disk.crash(operations, Survives::Written), FILE).unwrap();
    assert_eq!(at(before), "ab");
    assert_eq!(at(disk.operations()), "abcd");
    // It does not make it durable either.
    let next = crashed(&disk, Survives::Written);
    assert_eq!(next.operations(), disk.operations());
    assert!(text(&crashed(&next, Survives::Durable), FILE).is_err());
}

#[test]
fn bytes_are_durable_after_a_sync_and_names_after_a_sync_of_the_directory() {
    let disk = with_dir();
    let mut file = disk.create(path(FILE)).unwrap();
    file.append(b"ab").unwrap();
    disk.sync_dir(path("/dir")).unwrap();
    assert_eq!(text(&crashed(&disk, Survives::Durable), FILE).unwrap(), "");
    file.sync().unwrap();
    file.append(b"cd").unwrap();
    disk.rename(path(FILE), path("/dir/new")).unwrap();
    let durable = crashed(&disk, Survives::Durable);
    assert_eq!(text(&durable, FILE).unwrap(), "ab");
    assert!(text(&durable, "/dir/new").is_err());
    disk.sync_dir(path("/dir")).unwrap();
    let durable = crashed(&disk, Survives::Durable);
    assert_eq!(text(&durable, "/dir/new").unwrap(), "ab");
    assert!(text(&durable, FILE).is_err());
    // A directory that is lost takes all with it.
    disk.create_dir(path("/lost")).unwrap();
    let mut file = disk.create(path("/lost/file")).unwrap();
    file.append(b"ef").unwrap();
    file.sync().unwrap();
    disk.sync_dir(path("/lost")).unwrap();
    assert!(text(&crashed(&disk, Survives::Durable), "/lost/file").is_err());
}

#[test]
fn a_directory_is_renamed_with_all_that_is_in_it() {
    let disk = with_dir();
    disk.create(path(FILE)).unwrap();
    disk.sync_dir(path("/dir")).unwrap();
    let kind = |done: Result<()>| done.unwrap_err().kind();
    assert_eq!(
        kind(disk.remove_dir(path("/dir"))),
        ErrorKind::DirectoryNotEmpty
    );
    assert_eq!(kind(disk.remove_dir(path("/none"))), ErrorKind::NotFound);
    disk.create_dir(path("/new")).unwrap();
    disk.create(path("/new/other")).unwrap();
    assert_eq!(
        kind(disk.rename_dir(path("/dir"), path("/new"))),
        ErrorKind::DirectoryNotEmpty
    );
    assert_eq!(
        kind(disk.rename_dir(path("/dir"), path("/new/other"))),
        ErrorKind::NotADirectory
    );
    disk.remove(path("/new/other")).unwrap();
    disk.rename_dir(path("/dir"), path("/new")).unwrap();
    let places = |disk: &SimDisk| {
        let there = ["/dir/file", "/new/file"].map(|name| text(disk, name).is_ok());
        format!("{there:?}")
    };
    assert_eq!(places(&disk), "[false, true]");
    assert_eq!(
        outcomes(&disk, places),
        set(&["[false, true]", "[true, false]"])
    );
    disk.sync_dir(path("/")).unwrap();
    assert_eq!(outcomes(&disk, places), set(&["[false, true]"]));
    disk.remove(path("/new/file")).unwrap();
    disk.remove_dir(path("/new")).unwrap();
    assert_eq!(disk.list(path("/")).unwrap(), []);
}

#[test]
fn any_part_of_what_is_not_durable_may_survive() {
    let disk = with_dir();
    let mut file = disk.create(path(FILE)).unwrap();
    disk.sync_dir(path("/dir")).unwrap();
    file.append(b"a").unwrap();
    file.sync().unwrap();
    file.append(b"b").unwrap();
    file.append(b"cd").unwrap();
    let found = outcomes(&disk, |disk| text(disk, FILE).unwrap());
    let expected = set(&[
        "a",
        "ab",
        "abc",
        "abcd",
        r"a\x00",
        r"a\x00c",
        r"a\x00cd",
        r"a\x00\x00\x00",
        r"ab\x00\x00",
    ]);
    assert!(found.is_superset(&expected), "{found:?}");
    assert!(found.iter().all(|text| text.starts_with('a')), "{found:?}");
    // Beyond those there is garbage.
    assert!(found.len() > 2 * expected.len(), "{found:?}");
}

#[test]
fn each_change_of_a_directory_may_survive() {
    let disk = with_dir();
    let mut old = disk.create(path("/dir/x")).unwrap();
    old.append(b"old").unwrap();
    old.sync().unwrap();
    disk.sync_dir(path("/dir")).unwrap();
    let mut new = disk.create(path("/dir/y")).unwrap();
    new.append(b"new").unwrap();
    new.sync().unwrap();
    disk.rename(path("/dir/y"), path("/dir/x")).unwrap();
    disk.create(path("/dir/z")).unwrap();
    let found = outcomes(&disk, |disk| {
        let entries = disk.list(path("/dir")).unwrap();
        let names: Vec<_> = entries.iter().filter_map(Entry::file_name).collect();
        format!("{} {}", names.join(""), text(disk, "/dir/x").unwrap())
    });
    let expected = set(&["x old", "xy old", "x new", "xz old", "xyz old", "xz new"]);
    assert_eq!(found, expected);
}

#[test]
fn a_failed_sync_is_final() {
    let disk = with_dir();
    let mut file = disk.create(path(FILE)).unwrap();
    disk.sync_dir(path("/dir")).unwrap();
    file.append(b"a").unwrap();
    file.sync().unwrap();
    file.append(b"b").unwrap();
    disk.fail(disk.calls()..=disk.calls(), Fault::Io);
    assert_eq!(
        file.sync().unwrap_err().to_string(),
        "simulated input/output error"
    );
    file.append(b"c").unwrap();
    // The system says that all is well, and it is not.
    file.sync().unwrap();
    assert_eq!(text(&disk, FILE).unwrap(), "abc");
    let durable = text(&crashed(&disk, Survives::Durable), FILE).unwrap();
    assert_eq!(durable, r"a\x00c");
}

#[test]
fn operations_fail_by_their_number() {
    let disk = with_dir();
    let mut file = disk.create(path(FILE)).unwrap();
    let at = disk.calls();
    disk.fail(at..at + 2, Fault::Short);
    let full = file.append(b"abcd").unwrap_err();
    assert_eq!(full.kind(), ErrorKind::StorageFull);
    // Reading needs no room.
    assert_eq!(text(&disk, FILE).unwrap(), "ab");
    disk.fail(disk.calls().., Fault::Full);
    assert!(file.append(b"ef").is_err());
    assert!(disk.create(path("/dir/new")).is_err());
    assert_eq!(disk.list(path("/dir")).unwrap().len(), 1);
    disk.mend();
    disk.fail(disk.calls().., Fault::Io);
    assert!(disk.list(path("/dir")).is_err());
    assert!(disk.open(path(FILE)).is_err());
    assert!(disk.rename(path(FILE), path("/dir/new")).is_err());
    assert!(disk.sync_dir(path("/dir")).is_err());
    disk.mend();
    assert_eq!(text(&disk, FILE).unwrap(), "ab");
    disk.damage(path(FILE), |bytes| bytes[1] = b'x').unwrap();
    let durable = crashed(&disk, Survives::Durable);
    assert_eq!(text(&durable, FILE).unwrap(), "ax");
}

#[test]
fn parts_are_one_operation_and_a_crash_may_spare_some() {
    let disk = with_dir();
    let mut file = disk.create(path(FILE)).unwrap();
    let (calls, operations) = (disk.calls(), disk.operations());
    let parts = || [&b"ab"[..], b"", b"cd"].map(IoSlice::new);
    file.append_vectored(&mut parts()).unwrap();
    assert_eq!(
        (disk.calls(), disk.operations()),
        (calls + 1, operations + 2)
    );
    let crashed = disk.crash(operations + 1, Survives::Written);
    assert_eq!(text(&crashed, FILE).unwrap(), "ab");
    disk.fail(disk.calls().., Fault::Short);
    let mut parts = [&b"e"[..], b"fghi", b"j"].map(IoSlice::new);
    let full = file.append_vectored(&mut parts).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::StorageFull);
    assert_eq!(text(&disk, FILE).unwrap(), "abcdefg");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// What survives is between what was durable and what was written.
    #[test]
    fn every_crash_keeps_what_was_durable(
        steps in prop::collection::vec((0_u8..4, 1_usize..5), 0..30),
        seed in any::<u64>(),
    ) {
        let disk = with_dir();
        let mut file = disk.create(path(FILE)).unwrap();
        disk.sync_dir(path("/dir")).unwrap();
        let (mut written, mut durable) = (Vec::new(), 0);
        for (i, (step, len)) in steps.into_iter().enumerate() {
            if step == 0 {
                file.sync().unwrap();
                durable = written.len();
            } else {
                let bytes = vec![i as u8; len];
                file.append(&bytes).unwrap();
                written.extend(bytes);
            }
        }
        let crashed = crashed(&disk, Survives::Some(seed));
        let mut found = Vec::new();
        crashed.open(path(FILE)).unwrap().read_to_end(&mut found).unwrap();
        prop_assert!(found.len() <= written.len());
        prop_assert!(found.starts_with(&written[..durable]));
    }
}
