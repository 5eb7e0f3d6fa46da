//! The complete endpoint.
use virtio_hdl_rtl::config::EndpointConfig;
use virtio_hdl_rtl::device;
use virtio_hdl_rtl::endpoint::generate;

#[test]
fn the_same_text_twice() {
    for (name, _) in device::examples() {
        let config = EndpointConfig::load(name).unwrap();
        let text = |config| generate(config).unwrap().design.single_file();
        assert_eq!(text(&config), text(&config), "{name}");
    }
}
