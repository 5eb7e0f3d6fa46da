//! The window reader alone, with heads that are a guess.
use rust_hdl::prelude::*;
use virtio_hdl_rtl::dma::types::ReadRetire;
use virtio_hdl_rtl::testing::Bench;
use virtio_hdl_rtl::virtio::window::WindowReader;

const CLIENT: u64 = 1;

/// Offers these heads and answers their reads; how many cycles in the RAM was read, or the walker shown a context.
struct World {
    bench: Bench<WindowReader>,
    heads: Vec<u64>,
    retires: Vec<Bits<6>>,
    looks: usize,
}

impl World {
    fn new(name: &str) -> Self {
        let mut bench = Bench::new(name, WindowReader::new(CLIENT, 16), |uut| &mut uut.clock);
        bench.cycle(|uut, _| uut.reset.next = true, |_| {});
        bench.uut.reset.next = false;
        World { bench, heads: vec![], retires: vec![], looks: 0 }
    }

    fn run(&mut self, cycles: usize, hold: bool) {
        for _ in 0..cycles {
            let uut = &mut self.bench.uut;
            uut.hold.next = hold;
            uut.heads.valid.next = !self.heads.is_empty();
            uut.heads.data.next = self.heads.first().copied().unwrap_or_default().into();
            uut.request.ready.next = true;
            uut.retire_valid.next = !self.retires.is_empty();
            let slot = self.retires.pop().unwrap_or_default();
            uut.retire.next = ReadRetire { client: CLIENT.into(), slot, error: false };
            self.bench.low();
            let uut = &self.bench.uut;
            if !self.heads.is_empty() && uut.heads.ready.val() {
                self.heads.remove(0);
            }
            if uut.request.valid.val() {
                self.retires.insert(0, uut.request.data.val().slot);
            }
            self.looks += usize::from(uut.read_valid.val() || uut.view.ready.val());
            self.bench.edge();
        }
    }

    /// The guess was wrong.
    fn drop(&mut self) {
        self.bench.uut.drop.next = true;
        self.run(1, true);
        self.bench.uut.drop.next = false;
    }

    fn forgetting(&self) -> bool {
        self.bench.uut.forgetting.val()
    }

    /// The head of the context that the walker is shown.
    fn shown(&self) -> Option<u64> {
        let view = &self.bench.uut.view;
        view.ready.val().then(|| view.head.val().to_u64())
    }
}

#[test]
fn windows_of_a_guess_are_not_looked_at_before_it_is_certain() {
    let mut world = World::new("window_hold");
    world.run(1, true);
    world.heads = vec![1, 6, 11];
    world.run(60, true);
    assert_eq!((world.looks, world.heads.len(), world.retires.len()), (0, 0, 0), "all have been read");
    world.run(20, false);
    assert!(world.looks > 0);
    world.bench.finish();
}

#[test]
fn windows_of_a_wrong_guess_are_forgotten_when_their_reads_have_ended() {
    let mut world = World::new("window_drop");
    world.run(1, true);
    world.heads = vec![1, 6, 11];
    // the first is being read, the others have not been asked for
    world.run(6, true);
    world.drop();
    world.run(60, false);
    assert_eq!((world.looks, world.forgetting()), (0, false), "nobody has looked at them");
    world.heads = vec![3];
    world.run(40, false);
    assert_eq!(world.shown(), Some(3), "the next one is as any other");
    world.bench.finish();
}

/// A head from before the guess is walked in its time, and what was guessed goes behind it.
#[test]
fn windows_of_a_wrong_guess_go_behind_those_that_were_there() {
    let mut world = World::new("window_drop_behind");
    world.heads = vec![1];
    world.run(30, false);
    world.run(1, true);
    world.heads = vec![6, 11];
    world.run(30, true);
    world.drop();
    world.run(30, false);
    assert_eq!((world.forgetting(), world.shown()), (true, Some(1)), "the first has not been walked");
    world.bench.uut.view.free.next = true;
    world.run(1, false);
    world.bench.uut.view.free.next = false;
    world.run(10, false);
    assert_eq!((world.forgetting(), world.shown()), (false, None));
    world.heads = vec![3];
    world.run(30, false);
    assert_eq!(world.shown(), Some(3));
    world.bench.finish();
}
