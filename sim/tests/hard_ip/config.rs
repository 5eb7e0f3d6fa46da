//! Config space of the block, through the host model's enumeration.
use super::block::{settings, Host};
use virtio_hdl::host::pci::{Bus, Msix, MsixMessage, Options, Space};
use virtio_hdl::host::{Platform, Width};
use virtio_hdl::link::hard_ip::Family;
use virtio_hdl::link::{FunctionId, SLOT};
use virtio_hdl_rtl::pcie::function::BarSpace;
use virtio_hdl_rtl::pcie::layout::*;

const FAMILIES: [Family; 2] = [Family::SevenSeries, Family::UltraScalePlus];

#[test]
fn the_bus_finds_the_function_with_the_configured_identity() {
    for family in FAMILIES {
        for io in [false, true] {
            let mut settings = settings(family);
            settings.function.bar0_space = if io { BarSpace::Io } else { BarSpace::Memory };
            let mut host = Host::new(settings.clone());
            let bus = Bus::scan(&mut host, &Options::default()).unwrap();
            let [function] = bus.functions() else { panic!("{:?}", bus.functions()) };
            let f = &settings.function;
            assert_eq!((function.vendor, function.device), (f.vendor_id, f.device_id));
            assert_eq!((function.class, function.revision), (f.class, f.revision));
            assert_eq!((function.subsystem_vendor, function.subsystem), (f.subsystem_vendor_id, f.subsystem_id));
            assert_eq!((function.interrupt_pin, function.multifunction), (1, false));
            let (bar0, bar1) = (function.bar(0).unwrap(), function.bar(1).unwrap());
            assert_eq!(bar0.space, if io { Space::Io } else { Space::Memory });
            assert_eq!((bar0.bytes, bar1.bytes), (f.bar0_size.into(), f.bar1_size().into()));
            assert!(function.bars[2..].iter().all(Option::is_none));
            let list: Vec<(u8, u16)> = function.capabilities.iter().map(|c| (c.id, c.offset)).collect();
            match family {
                Family::SevenSeries => assert_eq!(list, [(1, 0x40), (0x10, 0x60), (0x11, 0x9c)]),
                Family::UltraScalePlus => assert_eq!(list, [(1, 0x40), (0x11, 0x60), (0x10, 0x70)]),
            }
            let msix = Msix::of(&mut host, function).unwrap();
            assert_eq!(msix.vectors, f.vectors);
        }
    }
}

#[test]
fn a_function_without_vectors_has_neither_msix_nor_bar1() {
    for family in FAMILIES {
        let mut settings = settings(family);
        settings.function.vectors = 0;
        let mut host = Host::new(settings);
        let bus = Bus::scan(&mut host, &Options::default()).unwrap();
        let function = bus.function(SLOT).unwrap();
        assert!(function.bar(1).is_err() && function.capability(CAPABILITY_MSIX).is_none());
        assert!(function.capability(CAPABILITY_EXPRESS).is_some());
    }
}

#[test]
fn what_the_driver_sets_is_on_the_ports() {
    for family in FAMILIES {
        let mut host = Host::new(settings(family));
        let options = Options { max_payload: 512, max_read_request: 1024, ..Options::default() };
        let bus = Bus::scan(&mut host, &options).unwrap();
        let function = bus.function(SLOT).unwrap().clone();
        function.enable(&mut host).unwrap();
        function.set_master(&mut host);
        let msix = Msix::of(&mut host, &function).unwrap();
        let messages = [MsixMessage { address: 0xfee0_0000, data: 1 }];
        msix.enable(&mut host, &function, &messages).unwrap();
        let seen = |host: &Host| match family {
            Family::SevenSeries => {
                let control = host.port("cfg_dcommand");
                (control >> 5 & 7, control >> 12 & 7, host.port("cfg_command") & 0x407)
            }
            Family::UltraScalePlus => {
                let status = host.port("cfg_function_status");
                let command = status & 7 | (status >> 3 & 1) << 10;
                (host.port("cfg_max_payload"), host.port("cfg_max_read_req"), command)
            }
        };
        // The function supports 256 bytes of payload; INTx is off with MSI-X.
        assert_eq!(seen(&host), (1, 3, 0x407));
        let switches = match family {
            Family::SevenSeries => ["cfg_interrupt_msixenable", "cfg_interrupt_msixfm"],
            Family::UltraScalePlus => ["cfg_interrupt_msix_enable", "cfg_interrupt_msix_mask"],
        };
        assert_eq!(switches.map(|port| host.port(port)), [1, 0]);
        assert_eq!(host.port("cfg_bus_number"), 1);
        msix.set_function_mask(&mut host, &function, true);
        assert_eq!(switches.map(|port| host.port(port)), [1, 1]);
        function.set_power_state(&mut host, 3).unwrap();
        let power = match family {
            Family::SevenSeries => ("cfg_pmcsr_powerstate", 3, 0),
            Family::UltraScalePlus => ("cfg_function_power_state", 4, 1),
        };
        assert_eq!(host.port(power.0), power.1);
        function.set_power_state(&mut host, 0).unwrap();
        assert_eq!(host.port(power.0), power.2);
    }
}

#[test]
fn requests_that_hit_no_bar_are_refused_by_the_block() {
    for family in FAMILIES {
        let mut host = Host::new(settings(family));
        let bus = Bus::scan(&mut host, &Options::default()).unwrap();
        let function = bus.function(SLOT).unwrap().clone();
        let bar = function.bar(0).unwrap();
        assert_eq!(bar.read(&mut host, 0, Width::Double), u32::MAX, "not enabled");
        assert!(host.beats.is_empty());
        function.enable(&mut host).unwrap();
        assert_eq!(host.mmio_read(0xf000_0000, Width::Double), u32::MAX, "elsewhere");
        host.mmio_write(0xf000_0000, Width::Double, 0);
        assert!(host.beats.is_empty());
        let status = function.capability(CAPABILITY_EXPRESS).unwrap() + EXPRESS_DEVICE_CONTROL + 2;
        assert_eq!(host.config_read(SLOT, status, Width::Word) & 0xf, 0b1011, "correctable, non-fatal, unsupported");
        host.config_write(SLOT, status, Width::Word, 0xf);
        assert_eq!(host.config_read(SLOT, status, Width::Word) & 0xf, 0);
        bar.read(&mut host, 0, Width::Double);
        assert_eq!(host.beats.len(), 1);
        function.set_power_state(&mut host, 3).unwrap();
        assert_eq!(bar.read(&mut host, 0, Width::Double), u32::MAX, "asleep");
        assert_eq!(host.beats.len(), 1);
        assert_eq!(host.config_read(FunctionId::new(1, 0, 1), 0, Width::Double), u32::MAX, "one function only");
    }
}

#[test]
fn a_function_level_reset_keeps_what_the_specification_says() {
    for family in FAMILIES {
        let mut host = Host::new(settings(family));
        let bus = Bus::scan(&mut host, &Options::default()).unwrap();
        let function = bus.function(SLOT).unwrap().clone();
        function.enable(&mut host).unwrap();
        let express = function.capability(CAPABILITY_EXPRESS).unwrap();
        let supported = host.config_read(SLOT, express + EXPRESS_DEVICE_CAPABILITIES, Width::Double);
        assert_eq!(supported & EXPRESS_FUNCTION_RESET_SUPPORTED != 0, family == Family::UltraScalePlus);
        function.reset(&mut host).unwrap();
        let command = host.config_read(SLOT, COMMAND, Width::Word) as u16;
        let payload = host.config_read(SLOT, express + EXPRESS_DEVICE_CONTROL, Width::Word) >> 5 & 7;
        assert_eq!(payload, 1, "Max_Payload_Size stays");
        match family {
            Family::SevenSeries => assert_ne!(command, 0, "there is no such reset"),
            Family::UltraScalePlus => {
                assert_eq!(command, 0);
                assert_eq!(host.config_read(SLOT, BAR0 + 4, Width::Double), 0);
                assert_eq!(host.port("cfg_flr_in_process"), 1);
                let now = host.now();
                host.block.changed("cfg_flr_done", now, 1).unwrap();
                host.run(10);
                assert_eq!(host.port("cfg_flr_in_process"), 0);
                let again = host.block.changed("cfg_flr_done", now + 20, 1).unwrap_err();
                assert!(again.to_string().contains("no function-level reset in process"), "{again}");
            }
        }
    }
}
