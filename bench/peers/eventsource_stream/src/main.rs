// SPDX-License-Identifier: MIT
// main.rs - eventsource-stream on the bench's corpora. Arguments and output: see ../../../peers.py.
use eventsource_stream::{Event, Eventsource};
use futures_core::Stream;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

/// Gives the bytes as a socket would, and is never waited for.
struct Chunks<'a>(std::slice::Chunks<'a, u8>);

impl<'a> Stream for Chunks<'a> {
    type Item = Result<&'a [u8], Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.next().map(Ok))
    }
}

fn parse(bytes: &[u8], chunk: usize, mut on_event: impl FnMut(&Event)) {
    let mut context = Context::from_waker(Waker::noop());
    let mut stream = Box::pin(Chunks(bytes.chunks(chunk)).eventsource());
    loop {
        match stream.as_mut().poll_next(&mut context) {
            Poll::Ready(Some(event)) => on_event(&event.expect("the corpora are well-formed")),
            Poll::Ready(None) => return,
            Poll::Pending => unreachable!("the chunks are always there"),
        }
    }
}

fn digest(bytes: &[u8], chunk: usize) -> String {
    let mut events = 0;
    let mut hash = 2166136261u32;
    parse(bytes, chunk, |e| {
        events += 1;
        let name = if e.event.is_empty() { "message" } else { &e.event };
        for text in [&e.id, "\n", name, "\n", &e.data, "\n\n"] {
            for byte in text.bytes() {
                hash = (hash ^ u32::from(byte)).wrapping_mul(16777619);
            }
        }
    });
    format!("{events} {hash:08x}")
}

extern "C" {
    fn clock() -> std::ffi::c_long; // of the C library: processor time, in millionths of a second on POSIX
}

/// Adds to `seen` the events read, and the sum of their data's first and last bytes.
fn seconds(bytes: &[u8], chunk: usize, times: usize, seen: &mut (u64, u64)) -> f64 {
    let (begin, used) = (Instant::now(), unsafe { clock() });
    for _ in 0..times {
        parse(bytes, chunk, |e| {
            seen.0 += 1;
            if let (Some(first), Some(last)) = (e.data.as_bytes().first(), e.data.as_bytes().last()) {
                seen.1 += u64::from(*first) + u64::from(*last);
            }
        });
    }
    let processor = unsafe { clock() - used } as f64 / 1e6;
    begin.elapsed().as_secs_f64().min(processor) / times as f64
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let rounds: usize = arguments[3].parse().unwrap();
    let mut seen = (0, 0);
    for corpus in ["a", "b", "c"] {
        let bytes = std::fs::read(format!("{}/{corpus}.txt", arguments[2])).unwrap();
        for chunk in &arguments[4..] {
            let chunk: usize = chunk.parse().unwrap();
            let told = digest(&bytes, chunk);
            let times = 1 + (0.05 / seconds(&bytes, chunk, 1, &mut seen)) as usize;
            print!("row {corpus} {chunk} {told}");
            for _ in 0..rounds {
                print!(" {:.9}", seconds(&bytes, chunk, times, &mut seen));
            }
            println!(" eventsource-stream");
        }
    }
    assert!(seen.0 > 0 && seen.1 > 0);
}
