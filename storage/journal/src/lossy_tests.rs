//! The disk of crash tests does what it is told, and no better than a real one.

use std::io;

use crate::disk::Disk;
use crate::lossy_disk::LossyDisk;

fn read(disk: &LossyDisk, name: &str) -> Vec<u8> {
    let file = disk.open(name).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

/// A disk with a durable file of four sectors of ones, over which twos were written.
fn overwritten() -> LossyDisk {
    let disk = LossyDisk::new();
    let file = disk.create("file").unwrap();
    file.write_all_at(&[1; 2048], 0).unwrap();
    file.sync().unwrap();
    disk.sync_directory("").unwrap();
    file.write_all_at(&[2; 2048], 0).unwrap();
    disk
}

#[test]
fn a_crash_keeps_what_was_synced_and_any_part_of_the_rest() {
    let disk = overwritten();
    assert_eq!(read(&disk, "file"), [2; 2048]);
    assert_eq!(read(&disk.crash(0), "file"), [1; 2048]);
    let outcomes: Vec<_> = (1..200).map(|seed| read(&disk.crash(seed), "file")).collect();
    assert!(outcomes.contains(&vec![1; 2048]) && outcomes.contains(&vec![2; 2048]));
    let torn = |bytes: &&Vec<u8>| bytes.is_sorted_by(|a, b| a >= b) && bytes[0] != bytes[2047];
    assert!(
        outcomes.iter().any(|bytes| torn(&bytes)),
        "a beginning of the write"
    );
    assert!(
        outcomes.iter().any(|bytes| bytes[0] < bytes[2047]),
        "sectors without those before them"
    );
    assert_eq!(read(&disk.crash(5), "file"), read(&disk.crash(5), "file"));
    assert_eq!(read(&disk, "file"), [2; 2048], "the crashed disk goes on");
}

#[test]
fn names_of_a_directory_survive_in_the_order_of_their_changes() {
    let disk = overwritten();
    disk.rename("file", "renamed").unwrap();
    disk.create("new").unwrap();
    disk.remove("new").unwrap();
    let names =
        |disk: &LossyDisk| -> Vec<_> { disk.list("").unwrap().into_iter().map(|(name, _)| name).collect() };
    assert_eq!(names(&disk.crash(0)), ["file"]);
    let stages = [vec!["file"], vec!["renamed"], vec!["new", "renamed"]];
    assert!((1..50).all(|seed| stages.iter().any(|stage| names(&disk.crash(seed)) == *stage)));
    assert!((1..50).any(|seed| names(&disk.crash(seed)) == ["new", "renamed"]));
    disk.sync_directory("").unwrap();
    assert_eq!(names(&disk.crash(0)), ["renamed"]);
    assert_eq!(disk.open("file").unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(disk.create("a/b").unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn it_fails_as_told() {
    let disk = overwritten();
    let file = disk.open("file").unwrap();
    disk.fill_up(2100);
    assert_eq!(
        file.write_all_at(&[3; 100], 2040).unwrap_err().kind(),
        io::ErrorKind::StorageFull
    );
    assert_eq!(file.len().unwrap(), 2100, "what fits is written");
    file.write_all_at(&[3; 100], 2000).unwrap();
    disk.heal();
    disk.tear_next_write(1);
    assert!(file.write_all_at(&[4, 4], 0).is_err());
    assert_eq!(read(&disk, "file")[..2], [4, 2]);
    disk.heal();
    let operations = disk.operations();
    disk.fail_after(1);
    file.sync().unwrap();
    assert!(disk.create("late").is_err() && file.write_all_at(&[5], 0).is_err());
    assert_eq!(disk.operations(), operations + 3);
    assert_eq!(read(&disk.crash(0), "file").len(), 2100);
}

#[test]
fn what_a_failed_sync_should_have_written_no_later_one_writes() {
    let disk = overwritten();
    let file = disk.open("file").unwrap();
    disk.fail_syncs_of("file");
    assert_eq!(file.sync().unwrap_err().raw_os_error(), Some(5));
    disk.sync_directory("").unwrap();
    disk.heal();
    assert_eq!(
        read(&disk, "file"),
        [2; 2048],
        "it is read back as if all were well"
    );
    file.sync().unwrap();
    assert_eq!(read(&disk.crash(0), "file"), [1; 2048]);
    assert!(
        (1..50).any(|seed| read(&disk.crash(seed), "file") == [2; 2048]),
        "it may have been written"
    );
    file.write_all_at(&[3; 1024], 512).unwrap();
    file.sync().unwrap();
    for seed in 0..50 {
        let bytes = read(&disk.crash(seed), "file");
        assert_eq!(bytes[512..1536], [3; 1024], "never over what came later");
    }
}

#[test]
fn syncs_and_reads_fail_by_name() {
    let disk = overwritten();
    disk.create_directory("a").unwrap();
    let inner = disk.create("a/inner").unwrap();
    inner.write_all_at(&[1], 0).unwrap();
    disk.fail_syncs_of("a/");
    assert!(inner.sync().is_err() && disk.sync_directory("a").is_err());
    assert!(disk.open("file").unwrap().sync().is_ok() && disk.sync_directory("").is_ok());
    disk.fail_syncs_of("/");
    assert!(inner.sync().is_ok() && disk.sync_directory("").is_err());
    disk.fail_reads_of("a/");
    assert_eq!(
        inner.read_exact_at(&mut [0], 0).unwrap_err().raw_os_error(),
        Some(5)
    );
    assert!(disk.open("a/inner").is_err());
    assert_eq!(read(&disk, "file"), [2; 2048]);
}

#[test]
fn names_of_different_directories_survive_in_any_order() {
    let disk = LossyDisk::new();
    for directory in ["a", "b"] {
        disk.create_directory(directory).unwrap();
        disk.create(&format!("{directory}/file")).unwrap();
    }
    let there = |seed| ["a", "b"].map(|directory| disk.crash(seed).list(directory).unwrap().len());
    let outcomes: std::collections::BTreeSet<_> = (0..50).map(there).collect();
    assert_eq!(outcomes.len(), 4, "{outcomes:?}");
}

#[test]
fn it_fails_by_chance_and_the_same_way_again() {
    let run = |seed| {
        let disk = overwritten();
        disk.create_directory("a").unwrap();
        let file = disk.open("file").unwrap();
        disk.fail_by_chance(seed, 3);
        let mut failed = Vec::new();
        for number in 0..40_u8 {
            let name = format!("a/{number}");
            failed.push([
                file.write_all_at(&[number; 100], 0).is_err(),
                file.sync().is_err(),
                file.read_exact_at(&mut [0; 100], 0).is_err(),
                disk.create(&name).is_err(),
                disk.rename(&name, "a/renamed").is_err(),
                disk.sync_directory("a").is_err(),
                disk.list("a").is_err(),
                disk.remove("a/renamed").is_err(),
            ]);
        }
        disk.heal();
        let names = disk.list("a").unwrap();
        (failed, names, read(&disk, "file"))
    };
    let (failed, names, bytes) = run(7);
    assert_eq!(run(7), (failed.clone(), names, bytes));
    assert_ne!(run(8).0, failed);
    for operation in 0..8 {
        let count = failed.iter().filter(|failed| failed[operation]).count();
        assert!(
            (4..36).contains(&count),
            "operation {operation} failed {count} times of 40"
        );
    }
}
