//! One test per row of the decision table.

use super::*;

fn listing(names: &[&str]) -> Vec<(String, u64)> {
    names.iter().map(|name| ((*name).to_owned(), 10)).collect()
}

fn manifest(lines: &[(&str, u64, Kind)]) -> Manifest {
    let files = lines.iter().map(|&(name, seq, kind)| Entry::new(name, seq, kind)).collect();
    Manifest { files, next_number: 0, epoch: 0 }
}

fn go(files: &[&str], manifest: Option<(Manifest, Trailer)>) -> Result<Plan, RecoveryError> {
    plan(&Names::default(), &listing(files), manifest)
}

const S0: &str = "appendonly.aof.3.s0.incr.aof";
const S1: &str = "appendonly.aof.4.s1.incr.aof";
const MANIFEST: &str = "appendonly.aof.manifest";

#[test]
fn a_directory_without_log_files_is_a_fresh_start() {
    let plan = go(&["quire.lock", "notes.txt", "appendonly.aof.manifest.quire-new"], None).unwrap();
    assert!(plan.files.is_empty() && !plan.found);
    assert_eq!(plan.leftovers, ["appendonly.aof.manifest.quire-new"]);
    assert_eq!(plan.manifest.next_number, 1);
}

#[test]
fn b_log_files_without_a_manifest_are_refused() {
    for file in [S0, "appendonly.aof.1.base.rdb", "appendonly.aof"] {
        let error = go(&[file], None).unwrap_err();
        assert_eq!(error.file, MANIFEST);
        assert!(error.to_string().contains(file), "{error}");
    }
}

#[test]
fn d_an_edited_manifest_is_refused() {
    let edited = Some((manifest(&[(S0, 3, Kind::Incr)]), Trailer::Mismatch));
    let error = go(&[MANIFEST, S0], edited).unwrap_err();
    assert!(error.to_string().contains("delete the last line"), "{error}");
}

#[test]
fn e_a_listed_file_that_is_missing_is_refused_by_name() {
    for kind in [Kind::Base, Kind::Incr] {
        let lost = Some((manifest(&[(S0, 3, kind)]), Trailer::Valid));
        let error = go(&[MANIFEST, S1], lost).unwrap_err();
        assert_eq!(error.file, S0);
        assert!(matches!(*error.kind, Refusal::Missing));
    }
}

#[test]
fn f_history_files_are_not_read_and_go_afterwards() {
    let list = manifest(&[("old.rdb", 1, Kind::History), ("gone", 2, Kind::History)]);
    let plan = go(&[MANIFEST, "old.rdb"], Some((list, Trailer::Valid))).unwrap();
    assert!(plan.files.is_empty());
    assert_eq!(plan.leftovers, ["old.rdb"]);
}

#[test]
fn g_two_files_with_one_number_are_refused() {
    let twin = "appendonly.aof.3.s1.incr.aof";
    let list = manifest(&[(S0, 3, Kind::Incr), (twin, 4, Kind::Incr)]);
    let error = go(&[MANIFEST, S0, twin], Some((list, Trailer::Valid))).unwrap_err();
    assert_eq!(error.file, twin);
    assert!(error.to_string().contains(S0), "{error}");
}

#[test]
fn h_files_of_ours_that_our_manifest_does_not_list_are_leftovers() {
    let list = manifest(&[(S0, 3, Kind::Incr)]);
    let plan = go(&[MANIFEST, S0, S1, "dump.rdb"], Some((list, Trailer::Valid))).unwrap();
    assert_eq!(plan.leftovers, [S1]);
    assert_eq!(plan.manifest.next_number, 5);
}

#[test]
fn i_files_a_foreign_manifest_does_not_list_stay() {
    let list = manifest(&[(S0, 3, Kind::Incr)]);
    let plan = go(&[MANIFEST, S0, S1], Some((list, Trailer::Missing))).unwrap();
    assert!(plan.leftovers.is_empty() && !plan.ours);
    // Their numbers are not given away again all the same.
    assert_eq!(plan.manifest.next_number, 5);
}

#[test]
fn k_a_start_that_crashed_before_its_first_segment_is_fresh() {
    let plan = go(&[MANIFEST, S0], Some((manifest(&[]), Trailer::Valid))).unwrap();
    assert_eq!(plan.leftovers, [S0]);
}

#[test]
fn l_an_emptied_manifest_beside_log_files_is_refused() {
    let error = go(&[MANIFEST, S0], Some((manifest(&[]), Trailer::Missing))).unwrap_err();
    assert!(matches!(*error.kind, Refusal::NoManifest { .. }));
}

#[test]
fn the_base_comes_first_and_roles_are_told_by_name() {
    let global = "appendonly.aof.5.g.incr.aof";
    let stock = "appendonly.aof.6.incr.aof";
    let base = "appendonly.aof.2.base.rdb";
    let list = manifest(&[
        (S0, 3, Kind::Incr),
        (global, 5, Kind::Incr),
        (stock, 6, Kind::Incr),
        (base, 9, Kind::Base),
    ]);
    let plan = go(&[MANIFEST, S0, global, stock, base], Some((list, Trailer::Missing))).unwrap();
    let roles: Vec<Role> = plan.files.iter().map(|file| file.role).collect();
    let expected = [
        Role::Base,
        Role::Segment { number: 3, shard: 0 },
        Role::Global { number: 5 },
        Role::Foreign,
    ];
    assert_eq!(roles, expected);
    assert_eq!(plan.manifest.next_number, 10);
}
