//! Fields of a header.
use virtio_hdl_rtl::tlp::format::{FMT, LENGTH, LOWER_ADDRESS, STATUS, TAG, TYPE, TYPE_COMPLETION};

#[test]
fn a_field_comes_back_as_it_was_put() {
    let mut header = [0xffff_ffff, 0, 0xffff_ffff];
    LENGTH.set(&mut header, 0);
    TYPE.set(&mut header, TYPE_COMPLETION);
    TAG.set(&mut header, 0x5a);
    assert_eq!(header, [0xeaff_fc00, 0x0000_5a00, 0xffff_ffff]);
    assert_eq!((FMT.get(&header), TYPE.get(&header), LENGTH.get(&header), TAG.get(&header)), (7, 10, 0, 0x5a));
}

#[test]
fn a_field_keeps_to_its_width_and_to_the_header() {
    let mut header = [0u32; 2];
    STATUS.set(&mut header, 0xff);
    LOWER_ADDRESS.set(&mut header, 0x7f);
    assert_eq!(header, [0, 0xe000]);
    assert_eq!(LOWER_ADDRESS.get(&header), 0);
}
