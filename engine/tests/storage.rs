//! Both implementations of the storage seam keep the same contract.

use glommio::{LocalExecutorBuilder, Placement};
use quire_engine::{
    aof::{fill_segment, header::EndLine, seal_segment},
    io::{
        Method, Storage,
        glommio::GlommioStorage,
        sim::{SimDisk, run},
        system::{SystemStorage, run_ready},
    },
};
use std::os::fd::{AsRawFd, BorrowedFd};

/// Runs on a glommio executor of its own.
pub fn on_glommio<F: Future<Output = ()> + 'static>(task: impl FnOnce() -> F + Send + 'static) {
    LocalExecutorBuilder::new(Placement::Unbound)
        .io_memory(1 << 20)
        .spawn(task)
        .unwrap()
        .join()
        .unwrap();
}

async fn keeps_the_contract<S: Storage>(storage: &S) {
    let file = storage.create("a").await.unwrap();
    assert_eq!(storage.len(&file).await.unwrap(), 0);
    storage.write_at(&file, 3, b"hello").await.unwrap();
    assert_eq!(storage.read_at(&file, 0, 100).await.unwrap(), b"\0\0\0hello");
    assert_eq!(storage.read_at(&file, 8, 1).await.unwrap(), b"");
    storage.reserve(&file, 100_000).await.unwrap();
    assert_eq!(storage.len(&file).await.unwrap(), 8, "reserving changes no length");
    // Large and aligned, then over it small and not.
    let large: Vec<u8> = (0..3_000_000u32).map(|i| (i / 7) as u8).collect();
    let large = &large[..large.len() / 4096 * 4096];
    storage.write_at(&file, 4096, large).await.unwrap();
    storage.write_at(&file, 5000, b"small").await.unwrap();
    let back = storage.read_at(&file, 4096, large.len()).await.unwrap();
    assert_eq!(&back[904..909], b"small");
    assert!(back[..904] == large[..904] && back[909..] == large[909..]);
    storage.truncate(&file, 7).await.unwrap();
    storage.sync(&file).await.unwrap();
    storage.rename("a", "b").await.unwrap();
    storage.sync_dir().await.unwrap();
    assert_eq!(storage.list().await.unwrap(), [("b".to_owned(), 7)]);
    assert_eq!(storage.len(&file).await.unwrap(), 7, "an open file keeps working");
    assert_eq!(storage.open("a").await.err().unwrap().errno, libc::ENOENT);
    let again = storage.create("b").await.unwrap();
    assert_eq!(storage.len(&again).await.unwrap(), 0, "creating empties");
    storage.remove("b").await.unwrap();
    assert_eq!(storage.remove("b").await.unwrap_err().errno, libc::ENOENT);
}

async fn prepares_and_seals<S: Storage>(storage: &S) {
    let file = storage.create("s").await.unwrap();
    storage.write_at(&file, 0, &[b'o'; 5_000_000]).await.unwrap();
    fill_segment(storage, &file, Method::Direct, 1_200_128 / 4096 * 4096).await.unwrap();
    let bytes = storage.read_at(&file, 0, 6_000_000).await.unwrap();
    assert_eq!(bytes.len(), 1_200_128 / 4096 * 4096);
    for line in bytes.chunks(512) {
        assert!(line[0] == b'#' && line[1] == b'.' && line[511] == b'\n');
    }
    let end = EndLine { run: 1, shard: 0, seq: 1, last_lsn: 9 };
    for _ in 0..2 {
        seal_segment(storage, &file, 8192, &end).await.unwrap();
        let bytes = storage.read_at(&file, 8192, 10_000).await.unwrap();
        assert_eq!(EndLine::parse(&bytes), Some(end));
    }
    fill_segment(storage, &file, Method::Buffered, 1 << 20).await.unwrap();
    assert_eq!(storage.len(&file).await.unwrap(), 0);
}

#[test]
fn the_simulated_disk_keeps_the_contract() {
    run(async {
        keeps_the_contract(&SimDisk::new()).await;
        prepares_and_seals(&SimDisk::new()).await;
    });
}

#[test]
fn the_real_disk_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new").join("appendonlydir");
    on_glommio(move || async move {
        let storage = GlommioStorage::open_or_create(&path).await.unwrap();
        keeps_the_contract(&storage).await;
        prepares_and_seals(&storage).await;
    });
}

#[test]
fn plain_system_calls_keep_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let storage = SystemStorage::new(dir.path());
    run_ready(async {
        keeps_the_contract(&storage).await;
        prepares_and_seals(&storage).await;
    });
}

#[test]
fn a_ring_file_is_open_with_the_method_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    on_glommio(move || async move {
        let storage = GlommioStorage::open_or_create(&path).await.unwrap();
        storage.create("s").await.unwrap();
        assert_eq!(
            storage.open_for_ring("none", Method::Direct).unwrap_err().to_string(),
            format!(
                "open of {} failed: No such file or directory (errno 2)",
                path.join("none").display()
            )
        );
        for (method, direct) in [(Method::Buffered, false), (Method::Direct, true)] {
            let file = storage.open_for_ring("s", method).unwrap();
            // SAFETY: the descriptor stays open until it is closed below.
            let flags =
                unsafe { libc::fcntl(BorrowedFd::borrow_raw(file).as_raw_fd(), libc::F_GETFL) };
            assert_eq!(flags & libc::O_DIRECT != 0, direct, "on a file system that allows it");
            storage.close_for_ring(file);
        }
    });
}
