//! virtio-entropy, device id 4: every buffer of the driver's is filled with random bytes, as far as there is room for them here.
//!
//! **These bytes are predictable.** They come out of a xorshift generator that is stirred with the time of each request, and whoever
//! knows when those came knows them all. It shows how a device is made, and tests need no more. A card that gives its host randomness
//! needs a source of noise (ring oscillators, say) with its health tests, in a register that [`Rng::next`] reads instead, and a
//! conditioner behind it; NIST SP 800-90B says what such a source must show.
#![cfg_attr(target_os = "none", no_std, no_main)]
use virtio_hdl_firmware::{Call, Card, Device};

/// Marsaglia's xorshift with 128 bits of state: shifts and no multiplication, which the processor has not.
struct Rng {
    state: [u32; 4],
}

impl Rng {
    const fn new() -> Self {
        // any but all zeros
        Self { state: [123_456_789, 362_436_069, 521_288_629, 88_675_123] }
    }

    /// The time goes into the state: two cards, or two starts of one, differ as soon as their requests come at different times.
    fn stir(&mut self, time: u32) {
        self.state[0] ^= time;
        // all zeros is the one state that it would never leave
        self.state[3] |= u32::from(self.state == [0; 4]);
    }

    fn next(&mut self) -> u32 {
        let [x, y, z, w] = self.state;
        let mixed = x ^ (x << 11);
        self.state = [y, z, w, w ^ (w >> 19) ^ mixed ^ (mixed >> 8)];
        self.state[3]
    }
}

impl Device for Rng {
    const NAME: &'static str = "rng";

    // A driver has nothing to say: what it says all the same is not looked at (virtio 1.2, 5.4.6).
    fn request<C: Card>(&mut self, call: &mut Call<'_, C>) {
        self.stir(call.time());
        while call.room() > 0 {
            let word = self.next().to_le_bytes();
            if call.write(&word) == 0 {
                break;
            }
        }
    }
}

virtio_hdl_firmware::program!(Rng::new());

#[cfg(test)]
mod tests {
    use super::Rng;
    use virtio_hdl_firmware::fake::Fake;
    use virtio_hdl_firmware::Program;

    fn started(fake: &mut Fake) -> Program<Rng> {
        let mut program = Program::new(Rng::new());
        program.start(fake).unwrap();
        program
    }

    fn answer(fake: &mut Fake, program: &mut Program<Rng>, readable: &[u8], writable: u32) -> Vec<u8> {
        fake.request(0, readable, writable);
        program.turn(fake);
        fake.answers.pop().expect("no answer").1
    }

    #[test]
    fn every_buffer_is_filled_as_far_as_there_is_room() {
        let mut fake = Fake::new(16 << 10, 1);
        let mut program = started(&mut fake);
        for writable in [1, 3, 4, 63, 64, 2048] {
            assert_eq!(answer(&mut fake, &mut program, &[], writable).len(), writable as usize);
        }
        for writable in [2049, 0xffff, 0x1_0000, u32::MAX] {
            assert_eq!(answer(&mut fake, &mut program, &[], writable).len(), 2048);
        }
    }

    #[test]
    fn nothing_to_write_and_something_to_read_are_answered() {
        let mut fake = Fake::new(16 << 10, 1);
        let mut program = started(&mut fake);
        assert_eq!(answer(&mut fake, &mut program, &[], 0).len(), 0);
        assert_eq!(answer(&mut fake, &mut program, &[7; 5000], 16).len(), 16);
    }

    #[test]
    fn bytes_differ_and_are_spread() {
        let mut fake = Fake::new(16 << 10, 1);
        let mut program = started(&mut fake);
        let first = answer(&mut fake, &mut program, &[], 2048);
        let second = answer(&mut fake, &mut program, &[], 2048);
        assert_ne!(first, second);
        for bytes in [first, second] {
            let ones: u32 = bytes.iter().map(|byte| byte.count_ones()).sum();
            assert!((7800..8600).contains(&ones), "{ones} of 16384 bits are ones");
        }
    }

    #[test]
    fn requests_at_another_time_give_other_bytes() {
        let at = |time| {
            let mut fake = Fake::new(16 << 10, 1);
            let mut program = started(&mut fake);
            fake.time = time;
            answer(&mut fake, &mut program, &[], 64)
        };
        assert_ne!(at(1000), at(1001));
        assert_eq!(at(1000), at(1000), "the test does not say what it means to");
    }

    #[test]
    fn no_time_stops_the_generator() {
        let mut rng = Rng { state: [5, 0, 0, 0] };
        rng.stir(5);
        assert_ne!(rng.state, [0; 4]);
        let words: Vec<_> = (0..100).map(|_| rng.next()).collect();
        assert!(words.iter().filter(|word| **word == 0).count() < 50, "{words:?}");
    }
}
