//! Amounts of money, read, summed and written.

use tailspan::ledger::money::Money;

fn money(text: &str) -> Money {
    Money::parse_usd(text).unwrap()
}

#[test]
fn money_is_read_and_written_exactly() {
    let same = ["0", "1", "-1.5", "0.047439", "0.000000000001", "-0.000000000001", "123456789.123456789012"];
    for text in same {
        assert_eq!(money(text).to_string(), text);
    }
    let equal = [
        ("1.50", "1.5"),
        ("+2", "2"),
        (".5", "0.5"),
        ("5.", "5"),
        ("1e-3", "0.001"),
        ("1.25E+2", "125"),
        ("-0", "0"),
        ("0.0000000000005", "0"),
        ("0.0000000000015", "0.000000000002"),
        ("0.00000000000050000000000000000000000001", "0.000000000001"),
        ("9.9999999999995", "10"),
        ("-0.0000000000025", "-0.000000000002"),
        ("0e99999999999999999999", "0"),
        ("1e-99999999999999999999", "0"),
        ("000000000000000000000000000000000000000000000000000001.10", "1.1"),
    ];
    for (text, expected) in equal {
        assert_eq!(money(text).to_string(), expected, "{text}");
    }
    for text in ["", "-", "+", ".", "e5", "1e", "1e+", "1.2.3", "--1", "1 ", "$1", "1_000", "١", "NaN", "inf", "1e30"]
    {
        assert_eq!(Money::parse_usd(text), None, "{text}");
    }
}

#[test]
fn money_from_the_clients_float_loses_its_noise() {
    assert_eq!(Money::from_usd_f64(0.012382500000000001).to_string(), "0.0123825");
    assert_eq!(Money::from_usd_f64(0.1 + 0.2).to_string(), "0.3");
    assert_eq!(Money::from_usd_f64(-1e-300).to_string(), "0");
    assert_eq!(Money::from_usd_f64(f64::NAN), Money::ZERO);
    assert!(Money::from_usd_f64(f64::INFINITY) > money("1e26") && Money::from_usd_f64(-1e300) < money("-1e26"));
    assert_eq!(money("0.047439").to_f64(), 0.047439);
}

#[test]
fn money_adds_up_and_survives_storage() {
    let mut sum = [money("0.1"), money("0.2")].into_iter().sum::<Money>();
    sum += money("1");
    sum -= money("0.3");
    assert_eq!((sum, -sum, sum - money("3")), (money("1"), money("-1"), money("-2")));
    let most = Money::from_picousd(i128::MAX);
    assert_eq!((most + most, -Money::from_picousd(i128::MIN)), (most, most));
    let bytes = postcard::to_allocvec(&sum).unwrap();
    assert_eq!(postcard::from_bytes::<Money>(&bytes).unwrap(), sum);
}
