//! The queues over memory that plays the kernel's part, so that Miri can watch.

use std::collections::VecDeque;

use super::*;

/// A ring's memory, and what the kernel keeps to itself.
struct Kernel {
    words: Box<[AtomicU32; 5]>,
    sqes: Box<[Sqe]>,
    cqes: Box<[Cqe]>,
    config: RingConfig,
    completed: u64,
}

const NO_CQE: Cqe = Cqe { user_data: 0, res: 0, flags: 0 };

impl Kernel {
    /// With all counters where they wrap soon.
    fn new(config: RingConfig) -> Self {
        let start = u32::MAX - 5;
        let all = |len: u32, shift: u32| (len as usize) << shift;
        Self {
            words: Box::new([start, start, 0, start, start].map(AtomicU32::new)),
            sqes: vec![Sqe::default(); all(config.sq_len(), config.sqe_shift())].into(),
            cqes: vec![NO_CQE; all(config.cq_len(), config.cqe_shift())].into(),
            config,
            completed: 0,
        }
    }

    fn raw(&mut self) -> sys::io_uring {
        let word = |i: usize| self.words[i].as_ptr();
        let mut raw = sys::io_uring::default();
        (raw.sq.khead, raw.sq.ktail, raw.sq.kflags) = (word(0), word(1), word(2));
        (raw.cq.khead, raw.cq.ktail) = (word(3), word(4));
        raw.sq.sqes = self.sqes.as_mut_ptr().cast();
        raw.cq.cqes = self.cqes.as_mut_ptr().cast();
        raw
    }

    /// Takes as many SQEs as are there, at most `n`, from where the program's own pointers put them.
    fn consume(&self, raw: &sys::io_uring, n: u32) -> Vec<u64> {
        let head = self.words[0].load(Relaxed);
        let n = n.min(self.words[1].load(Acquire).wrapping_sub(head));
        let taken = (0..n).map(|i| {
            let index = (head.wrapping_add(i) & (self.config.sq_len() - 1)) as usize;
            // SAFETY: inside the SQEs.
            let at = unsafe { raw.sq.sqes.cast::<Sqe>().add(index << self.config.sqe_shift()) };
            // SAFETY: as above; the program does not write to it now.
            unsafe { at.read() }.user_data
        });
        let taken = taken.collect();
        self.words[0].store(head.wrapping_add(n), Release);
        taken
    }

    /// Completes this request.
    fn complete(&mut self, raw: &sys::io_uring, user_data: u64) {
        let tail = self.words[4].load(Relaxed);
        assert!(tail.wrapping_sub(self.words[3].load(Acquire)) < self.config.cq_len());
        let index = (tail & (self.config.cq_len() - 1)) as usize;
        // SAFETY: inside the CQEs.
        let at = unsafe { raw.cq.cqes.cast::<Cqe>().add(index << self.config.cqe_shift()) };
        self.completed += 1;
        let cqe = Cqe { user_data, res: self.completed as i32, flags: 0 };
        // SAFETY: as above; the program does not read it before the tail is moved.
        unsafe { at.write(cqe) };
        self.words[4].store(tail.wrapping_add(1), Release);
    }
}

fn configs() -> [RingConfig; 4] {
    let config = RingConfig::new(4).unwrap();
    [config, config.sqe128(), config.cqe32(), config.sqe128().cqe32()]
}

#[test]
fn what_is_prepared_is_consumed_and_what_completes_is_reaped_in_order_while_counters_wrap() {
    for config in configs() {
        let mut kernel = Kernel::new(config);
        let mut raw = kernel.raw();
        let mut queues = Queues::new(&raw, &config);
        queues.resync(&mut raw);
        let (mut next, mut waiting) = (0u64, VecDeque::new());
        for round in 0..20 {
            let room = config.sq_len() - queues.sq_left(&raw);
            assert!(
                room > 0 && !queues.is_filled_by(room - 1) && queues.is_filled_by(config.sq_len())
            );
            for _ in 0..room.min(1 + round % 4) {
                queues.prepare(&mut raw, Sqe { user_data: next, ..Sqe::default() });
                waiting.push_back(next);
                next += 1;
            }
            assert_eq!(queues.publish(&mut raw), waiting.len() as u32);
            // Not always all that it is shown.
            for user_data in kernel.consume(&raw, 1 + round % 3) {
                assert_eq!(waiting.pop_front(), Some(user_data));
                kernel.complete(&raw, user_data);
            }
            assert_eq!(queues.sq_left(&raw), waiting.len() as u32);
            let there: Vec<u64> = queues.waiting().map(|cqe| cqe.user_data).collect();
            assert_eq!(there.len() as u32, queues.cq_ready());
            for user_data in there {
                assert_eq!(queues.reap().user_data, user_data);
            }
            assert_eq!(queues.cq_ready(), 0);
        }
        let mut returned = VecDeque::new();
        queues.take_back(&mut raw, |user_data| returned.push_back(user_data));
        assert_eq!(returned, waiting);
        assert_eq!((queues.sq_left(&raw), queues.publish(&mut raw)), (0, 0));
    }
}

#[test]
fn whoever_goes_on_with_a_ring_finds_nothing_of_what_its_last_user_left() {
    for config in configs() {
        let mut kernel = Kernel::new(config);
        let mut first = kernel.raw();
        let mut second = first;
        let mut queues = Queues::new(&first, &config);
        queues.resync(&mut first);
        queues.prepare(&mut first, Sqe { user_data: 1, ..Sqe::default() });
        queues.prepare(&mut first, Sqe { user_data: 2, ..Sqe::default() });
        queues.publish(&mut first);
        assert_eq!(kernel.consume(&first, 1), [1]);
        kernel.complete(&first, 1);
        // Another process's copy of the struct knows of none of this.
        let mut queues = Queues::new(&second, &config);
        queues.resync(&mut second);
        assert_eq!((queues.sq_left(&second), queues.cq_ready()), (0, 0));
        queues.prepare(&mut second, Sqe { user_data: 3, ..Sqe::default() });
        queues.publish(&mut second);
        assert_eq!(kernel.consume(&second, 9), [3]);
    }
}

/// However far a process that went astray has moved the counters.
#[test]
fn no_counter_leads_out_of_the_queues() {
    for config in configs() {
        let mut kernel = Kernel::new(config);
        let mut raw = kernel.raw();
        let mut queues = Queues::new(&raw, &config);
        queues.resync(&mut raw);
        for word in [0, 1, 3, 4] {
            for wrong in [0, 77, u32::MAX / 2, u32::MAX] {
                kernel.words[word].store(wrong, Release);
                assert!(queues.waiting().count() <= config.cq_len() as usize);
                queues.reap();
                let mut returned = 0;
                queues.take_back(&mut raw, |_| returned += 1);
                assert!(returned <= config.sq_len());
            }
        }
    }
}
