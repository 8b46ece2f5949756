//! Numbers as PBXs, trunks and people of this country write them, and what each is compared as.

use super::*;

/// 北京, 8 digits, 9 for an outside line.
fn capital() -> Numbering {
    Numbering {
        area_code: "010".into(),
        local_digits: vec![8],
        outside_prefixes: vec!["9".into()],
        extension_digits: vec![4],
        short_codes: vec!["66".into()],
    }
}

/// A town with seven digits, 0 for an outside line.
fn town() -> Numbering {
    Numbering {
        area_code: "0573".into(),
        local_digits: vec![7, 8],
        outside_prefixes: vec!["0".into()],
        extension_digits: vec![3, 4],
        short_codes: vec![],
    }
}

fn all(site: &Numbering, cases: &[(&str, Kind, &str)]) {
    for (written, kind, plain) in cases {
        let number = site.read(written);
        assert_eq!((number.kind, number.plain.as_str()), (*kind, *plain), "{written}");
    }
}

#[test]
fn mobiles_in_every_dress() {
    let cases = [
        "13800138000",
        "+8613800138000",
        "008613800138000",
        "8613800138000",
        "013800138000",
        "913800138000",
        "9013800138000",
        "9008613800138000",
        "+86 138 0013 8000",
        "+86-138-0013-8000",
        "138-0013-8000",
        "138 0013 8000",
        "(86)13800138000",
        "（+86）138 0013 8000",
        "１３８００１３８０００",
        "1795113800138000",
        "tel:+8613800138000",
        "tel:+86-138-0013-8000",
        "TEL:13800138000;phone-context=+86",
        "tel:+8613800138000;phone-context=ims.mnc000.mcc460.3gppnetwork.org",
        "sip:+8613800138000@ims.mnc000.mcc460.3gppnetwork.org;user=phone",
        "sip:+8613800138000;npdi@10.0.0.1;user=phone",
        "sip:13800138000;phone-context=+86@10.0.0.1;user=phone",
        "sip:13800138000;rn=+8613010;npdi@10.0.0.1",
        "+8613800138000;cpc=ordinary",
        "+86013800138000",
    ];
    for written in cases {
        assert_eq!(capital().read(written), Number::new(Kind::Mobile, "13800138000"), "{written}");
    }
    let abroad = Numbering { outside_prefixes: vec![], ..capital() };
    assert_eq!(abroad.read("913800138000").kind, Kind::Other, "no prefix is configured");
}

#[test]
fn landlines_of_our_own_town_and_of_others() {
    all(
        &capital(),
        &[
            ("63001234", Kind::Landline, "01063001234"),
            ("6300-1234", Kind::Landline, "01063001234"),
            ("01063001234", Kind::Landline, "01063001234"),
            ("010-63001234", Kind::Landline, "01063001234"),
            ("(010)63001234", Kind::Landline, "01063001234"),
            ("（010）6300 1234", Kind::Landline, "01063001234"),
            ("1063001234", Kind::Landline, "01063001234"),
            ("+861063001234", Kind::Landline, "01063001234"),
            ("+86 (0)10 6300 1234", Kind::Landline, "01063001234"),
            ("+8601063001234", Kind::Landline, "01063001234"),
            ("00861063001234", Kind::Landline, "01063001234"),
            ("861063001234", Kind::Landline, "01063001234"),
            ("963001234", Kind::Landline, "01063001234"),
            ("901063001234", Kind::Landline, "01063001234"),
            ("63001234转8001", Kind::Landline, "01063001234"),
            ("63001234 ext. 8001", Kind::Landline, "01063001234"),
            ("tel:63001234;phone-context=+8610", Kind::Landline, "01063001234"),
            ("sip:63001234@10.1.1.1:5060;user=phone", Kind::Landline, "01063001234"),
            ("+8663001234", Kind::Landline, "01063001234"),
            ("075582345678", Kind::Landline, "075582345678"),
            ("0755-82345678", Kind::Landline, "075582345678"),
            ("9075582345678", Kind::Landline, "075582345678"),
            ("+8675582345678", Kind::Landline, "075582345678"),
            ("8675582345678", Kind::Landline, "075582345678"),
            ("75582345678", Kind::Landline, "075582345678"),
            ("tel:82345678;phone-context=+86755", Kind::Landline, "075582345678"),
            ("02088887777", Kind::Landline, "02088887777"),
            ("2088887777", Kind::Landline, "02088887777"),
            ("03573001234", Kind::Landline, "03573001234"),
            ("86123456", Kind::Landline, "01086123456"),
        ],
    );
    all(
        &town(),
        &[
            ("3001234", Kind::Landline, "05733001234"),
            ("82001234", Kind::Landline, "057382001234"),
            ("03001234", Kind::Landline, "05733001234"),
            ("082001234", Kind::Landline, "057382001234"),
            ("057382001234", Kind::Landline, "057382001234"),
            ("0057382001234", Kind::Landline, "057382001234"),
            ("0075582345678", Kind::Landline, "075582345678"),
            ("013800138000", Kind::Mobile, "13800138000"),
            ("0013800138000", Kind::Mobile, "13800138000"),
            ("00085223456789", Kind::International, "+85223456789"),
        ],
    );
    all(
        &Numbering::default(),
        &[
            ("63001234", Kind::Local, "63001234"),
            ("88123456", Kind::Local, "88123456"),
            ("01063001234", Kind::Landline, "01063001234"),
        ],
    );
}

#[test]
fn short_numbers_extensions_and_the_world() {
    all(
        &capital(),
        &[
            ("110", Kind::Service, "110"),
            ("119", Kind::Service, "119"),
            ("120", Kind::Service, "120"),
            ("122", Kind::Service, "122"),
            ("+86110", Kind::Service, "110"),
            ("010110", Kind::Service, "110"),
            ("0755110", Kind::Service, "0755110"),
            ("12345", Kind::Service, "12345"),
            ("01012345", Kind::Service, "12345"),
            ("912345", Kind::Service, "12345"),
            ("12350", Kind::Service, "12350"),
            ("95598", Kind::Service, "95598"),
            ("+8695598", Kind::Service, "95598"),
            ("9555801", Kind::Service, "9555801"),
            ("96110", Kind::Service, "96110"),
            ("10086", Kind::Service, "10086"),
            ("4008123456", Kind::Service, "4008123456"),
            ("400-812-3456", Kind::Service, "4008123456"),
            ("94008123456", Kind::Service, "4008123456"),
            ("+864008123456", Kind::Service, "4008123456"),
            ("66", Kind::Service, "66"),
            ("8001", Kind::Extension, "8001"),
            ("9110", Kind::Extension, "9110"),
            ("sip:8001@pbx.example", Kind::Extension, "8001"),
            ("*9", Kind::Code, "*9"),
            ("#31#13800138000", Kind::Code, "#31#13800138000"),
            ("+85223456789", Kind::International, "+85223456789"),
            ("0085223456789", Kind::International, "+85223456789"),
            ("90085223456789", Kind::International, "+85223456789"),
            ("+1 (212) 555-0100", Kind::International, "+12125550100"),
            ("0012125550100", Kind::International, "+12125550100"),
            ("1380013800", Kind::Other, "1380013800"),
            ("010-00000001", Kind::Other, "01000000001"),
        ],
    );
}

#[test]
fn names_and_withheld_numbers_are_no_numbers() {
    for written in [
        "",
        "anonymous",
        "Anonymous",
        "restricted",
        "unavailable",
        "gate4",
        "1001a",
        "sip:anonymous@anonymous.invalid",
        "张三",
        "=1+1",
        "<script>1</script>",
        "13800138000 or 110",
        "63001234 exit 4",
        "+",
        "--",
        &"1".repeat(200),
    ] {
        assert_eq!(capital().read(written), Number::new(Kind::None, ""), "{written}");
    }
}

#[test]
fn what_is_plain_stays_plain_and_can_be_dialled() {
    for (site, shown, dialled) in [
        (capital(), "63001234", "963001234"),
        (capital(), "0755-82345678", "9075582345678"),
        (capital(), "+8613800138000", "913800138000"),
        (capital(), "110", "9110"),
        (capital(), "8001", "8001"),
        (capital(), "+852 2345 6789", "90085223456789"),
        (town(), "3001234", "03001234"),
        (town(), "01063001234", "001063001234"),
        (Numbering::default(), "13800138000", "13800138000"),
    ] {
        let plain = site.read(shown).plain;
        assert_eq!(site.read(&plain).plain, plain, "{shown}");
        assert_eq!(site.to_dial(&plain), dialled, "{shown}");
    }
}
