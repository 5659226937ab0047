//! A thread per core reads its share of a file, each by a ring of its own out of one pool.
//!
//! The pool is made before the threads, and is one mapping; each thread claims its ring out of it.
//! A thread keeps a number of reads of 8 KiB under way, block after block or in random order.
//!
//! ```console
//! $ cargo run --release --example reader_per_core -- FILE [sequential|random] [DEPTH]
//! ```

use std::error::Error;
use std::ffi::OsString;
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use uring_pool::{Ring, RingConfig, RingPool, Route, Stats};

/// An error that may leave its thread.
type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

const BLOCK: u64 = 8192;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    let Some((path, order, config)) = parse(&args) else {
        eprintln!("usage: reader_per_core FILE [sequential|random] [DEPTH, 1 to 32768]");
        return ExitCode::from(2);
    };
    match run(path, order, config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("reader_per_core: {error}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Sequential,
    Random,
}

fn parse(args: &[OsString]) -> Option<(&Path, Order, RingConfig)> {
    let (path, rest) = args.split_first()?;
    let rest: Vec<_> = rest.iter().map(|arg| arg.to_str()).collect::<Option<_>>()?;
    let (order, depth) = match rest[..] {
        [] => ("sequential", "32"),
        [order] => (order, "32"),
        [order, depth] => (order, depth),
        _ => return None,
    };
    let order = match order {
        "sequential" => Order::Sequential,
        "random" => Order::Random,
        _ => return None,
    };
    Some((path.as_ref(), order, RingConfig::new(depth.parse().ok()?).ok()?))
}

fn run(path: &Path, order: Order, config: RingConfig) -> Result<()> {
    let cannot = |error| format!("cannot open {}: {error}", path.display());
    let file = File::open(path).map_err(cannot)?;
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let pool = RingPool::builder(config).rings(threads).build()?;
    let begun = Instant::now();
    let told = read_all(&file, &pool, order)?;
    let seconds = begun.elapsed().as_secs_f64();
    for (thread, told) in told.iter().enumerate() {
        let mib = mib(told.bytes);
        println!("thread {thread}: slot {}, {} reads, {mib:.1} MiB", told.slot, told.reads);
    }
    let mib = mib(told.iter().map(|told| told.bytes).sum());
    println!("{mib:.1} MiB in {seconds:.3} s: {:.1} MiB/s", mib / seconds);
    print_stats(&pool.stats());
    Ok(())
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}

fn print_stats(stats: &Stats) {
    let routes = Route::ALL.map(|route| format!("{} by {route}", stats.by_route(route))).join(", ");
    println!("{} rings are open: {routes}; {} bytes are mapped", stats.open, stats.bytes);
    for fallback in &stats.fallbacks {
        println!("{} of them not by {}", fallback.rings, fallback.first);
    }
}

/// What a thread has to tell.
#[derive(Debug)]
struct Told {
    slot: usize,
    reads: u64,
    bytes: u64,
}

/// Reads the whole file by a thread for each of the pool's rings.
fn read_all(file: &File, pool: &RingPool, order: Order) -> Result<Vec<Told>> {
    let size = file.metadata()?.len();
    let threads = pool.slots();
    thread::scope(|scope| {
        let read = |thread| {
            move || {
                let mut ring = pool.claim::<Vec<u8>>()?;
                let blocks = share(size, thread, threads, order);
                let (mut reads, mut bytes) = (0, 0);
                read_blocks(&mut ring, file, blocks, |_, block| {
                    // Here a program would do something with them.
                    reads += 1;
                    bytes += block.len() as u64;
                })?;
                let slot = ring.slot().ok_or("a pool's ring has a slot")?;
                Ok(Told { slot, reads, bytes })
            }
        };
        // All of them begin before the first is waited for.
        let readers: Vec<_> = (0..threads).map(|thread| scope.spawn(read(thread))).collect();
        let join = |reader: thread::ScopedJoinHandle<'_, Result<Told>>| {
            reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        readers.into_iter().map(join).collect()
    })
}

/// Bytes of the file, neighbouring ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece {
    offset: u64,
    len: usize,
}

/// The blocks that a thread reads, last one first. Shares differ by one block at most.
fn share(size: u64, thread: usize, threads: usize, order: Order) -> Vec<Piece> {
    let (blocks, threads) = (size.div_ceil(BLOCK), threads as u64);
    let bound = |thread: usize| {
        let thread = thread as u64;
        blocks / threads * thread + (blocks % threads).min(thread)
    };
    let piece = |block| {
        let offset = block * BLOCK;
        Piece { offset, len: (size - offset).min(BLOCK) as usize }
    };
    let mut pieces: Vec<_> = (bound(thread)..bound(thread + 1)).rev().map(piece).collect();
    if order == Order::Random {
        shuffle(&mut pieces, thread as u64);
    }
    pieces
}

/// Fisher and Yates', by Marsaglia's xorshift: random enough to read by.
fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut state = seed + 0x9e37_79b9_7f4a_7c15;
    for i in (1..items.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        items.swap(i, (state % (i as u64 + 1)) as usize);
    }
}

/// Reads the pieces, the last first, with as many reads under way as the ring has entries; and
/// gives out what comes, in whatever order it does.
fn read_blocks(
    ring: &mut Ring<Vec<u8>>,
    file: &File,
    mut pieces: Vec<Piece>,
    mut give: impl FnMut(u64, &[u8]),
) -> Result<()> {
    let mut bufs: Vec<Vec<u8>> = Vec::new();
    loop {
        let room = ring.sq_len() - ring.in_flight();
        let mut batch = ring.batch();
        for _ in 0..room {
            let Some(Piece { offset, len }) = pieces.pop() else { break };
            let mut buf = bufs.pop().unwrap_or_default();
            buf.resize(len, 0);
            batch.read_at(file, buf, offset).tag(offset).push()?;
        }
        batch.submit()?;
        if ring.in_flight() == 0 {
            return Ok(());
        }
        for done in ring.wait_through_signals(1)? {
            let (offset, buf) = (done.tag, done.buf.unwrap_or_default());
            match done.result {
                Ok(0) => return Err(format!("the file ends at byte {offset} already").into()),
                Ok(n) => {
                    let n = n as usize;
                    give(offset, &buf[..n]);
                    // Of a short read the rest is read again.
                    if n < buf.len() {
                        pieces.push(Piece { offset: offset + n as u64, len: buf.len() - n });
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {
                    pieces.push(Piece { offset, len: buf.len() });
                }
                Err(error) => return Err(format!("cannot read at byte {offset}: {error}").into()),
            }
            bufs.push(buf);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const ORDERS: [Order; 2] = [Order::Sequential, Order::Random];

    fn content(bytes: u64) -> Vec<u8> {
        (0..bytes).map(|i| (i * 31 % 251) as u8).collect()
    }

    fn scratch(content: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file
    }

    fn config() -> RingConfig {
        RingConfig::new(8).unwrap()
    }

    #[test]
    fn every_byte_comes_once_whatever_the_size_and_the_order() {
        let pool = RingPool::builder(config()).build().unwrap();
        let mut ring = pool.claim().unwrap();
        for bytes in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 50 * BLOCK + 17] {
            let content = content(bytes);
            let file = scratch(&content);
            for (order, threads) in ORDERS.into_iter().flat_map(|order| [(order, 1), (order, 3)]) {
                let mut came = vec![None; bytes as usize];
                for thread in 0..threads {
                    let pieces = share(bytes, thread, threads, order);
                    read_blocks(&mut ring, &file, pieces, |offset, block| {
                        for (i, &byte) in block.iter().enumerate() {
                            let before = came[offset as usize + i].replace(byte);
                            assert_eq!(before, None, "byte {i} of the block at {offset}");
                        }
                    })
                    .unwrap();
                }
                assert!(came.into_iter().eq(content.iter().copied().map(Some)), "{order:?}");
            }
        }
    }

    #[test]
    fn each_thread_has_a_ring_of_its_own_and_all_go_back() {
        let bytes = 400 * BLOCK + 1;
        let file = scratch(&content(bytes));
        for (order, rings) in ORDERS.into_iter().zip([1, 5]) {
            let pool = RingPool::builder(config()).rings(rings).build().unwrap();
            let told = read_all(&file, &pool, order).unwrap();
            assert_eq!(told.len(), rings);
            assert_eq!(told.iter().map(|told| told.bytes).sum::<u64>(), bytes);
            let fair = 401 / rings as u64;
            assert!(told.iter().all(|told| told.reads >= fair && told.reads <= fair + 1));
            let stats = pool.stats();
            assert_eq!((stats.claimed, stats.idle), (0, stats.open));
        }
    }

    #[test]
    fn random_order_has_the_same_blocks_in_another_order() {
        let [mut sequential, mut random] = ORDERS.map(|order| share(100 * BLOCK, 1, 2, order));
        assert_eq!(sequential.last(), Some(&Piece { offset: 50 * BLOCK, len: 8192 }));
        assert_ne!(sequential, random);
        sequential.sort_by_key(|piece| piece.offset);
        random.sort_by_key(|piece| piece.offset);
        assert_eq!(sequential, random);
    }

    #[test]
    fn a_file_that_became_shorter_is_an_error_and_not_an_endless_loop() {
        let file = scratch(&content(BLOCK + 5));
        let mut ring = Ring::open(&config()).unwrap();
        let pieces = share(3 * BLOCK, 0, 1, Order::Sequential);
        let error = read_blocks(&mut ring, &file, pieces, |_, _| {}).unwrap_err();
        assert!(error.to_string().starts_with("the file ends at byte "), "{error}");
    }

    #[test]
    fn arguments_that_make_no_sense_are_wrong_use() {
        let parsed = |args: &[&str]| {
            let args: Vec<_> = args.iter().map(OsString::from).collect();
            parse(&args).map(|(_, order, config)| (order, config.entries()))
        };
        assert_eq!(parsed(&["file"]), Some((Order::Sequential, 32)));
        assert_eq!(parsed(&["file", "random", "7"]), Some((Order::Random, 7)));
        let wrong: [&[&str]; 5] =
            [&[], &["file", "up"], &["file", "random", "0"], &["file", "random", "x"], &["a"; 4]];
        for args in wrong {
            assert_eq!(parsed(args), None, "{args:?}");
        }
    }
}
