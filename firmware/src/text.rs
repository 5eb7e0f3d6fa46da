//! Words and numbers, without `core::fmt`, which is four times as large as a program.

/// What takes text.
pub trait Text {
    /// Takes a byte.
    fn byte(&mut self, byte: u8);

    /// Takes some text.
    fn text(&mut self, text: &str) {
        text.bytes().for_each(|byte| self.byte(byte));
    }

    /// Takes a number in decimal.
    fn decimal(&mut self, mut number: u32) {
        let mut digits = [0; 10];
        let mut first = digits.len();
        loop {
            first -= 1;
            // no more digits than a word has
            if let Some(digit) = digits.get_mut(first) {
                *digit = b'0' + (number % 10) as u8;
            }
            number /= 10;
            if number == 0 {
                break;
            }
        }
        digits.iter().skip(first).for_each(|digit| self.byte(*digit));
    }

    /// Takes a word in eight hexadecimal digits behind `0x`.
    fn hex(&mut self, word: u32) {
        self.text("0x");
        for digit in (0..8).rev().map(|place| (word >> (place * 4)) as u8 & 15) {
            self.byte(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 });
        }
    }
}

#[cfg(test)]
impl Text for Vec<u8> {
    fn byte(&mut self, byte: u8) {
        self.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::Text;

    fn written(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut text = Vec::new();
        write(&mut text);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn numbers_are_written_in_full() {
        for number in [0, 9, 10, 4096, u32::MAX] {
            assert_eq!(written(|text| text.decimal(number)), number.to_string());
            assert_eq!(written(|text| text.hex(number)), format!("{number:#010x}"));
        }
    }
}
