use super::*;

const NOT_MEASURED: &[Measured] = &[];

fn line(estimate: &Estimate, of: &str) -> Line {
    let found = estimate.lines.iter().find(|line| line.of == of);
    found.unwrap_or_else(|| panic!("no {of} in {estimate:?}")).clone()
}

fn dollars(text: &str) -> Decimal {
    text.parse().unwrap()
}

#[test]
fn the_parts_add_up_to_the_total_at_every_rate() {
    for product in ProductPath::ALL {
        for rate in [1, 7, 100, 999, 1_000, 3_333, 10_000, EVENTS_PER_SECOND_MAX] {
            let estimate = estimate(product, rate, NOT_MEASURED);
            let (mut a_million, mut a_month) = (Decimal::ZERO, Decimal::ZERO);
            for line in &estimate.lines {
                assert!(line.dollars_a_month > Decimal::ZERO, "{line:?}");
                assert!(line.dollars_a_month.scale() <= 2 && line.dollars_a_million.scale() <= 2);
                a_million += line.dollars_a_million;
                a_month += line.dollars_a_month;
            }
            assert_eq!(estimate.dollars_a_million, a_million, "{product:?} {rate}");
            assert_eq!(estimate.dollars_a_month, a_month, "{product:?} {rate}");
            assert!(a_million > Decimal::ZERO, "{product:?} {rate}");
        }
    }
}

#[test]
fn a_million_events_get_cheaper_as_the_rate_goes_up() {
    for product in ProductPath::ALL {
        let at = |rate| estimate(product, rate, NOT_MEASURED).dollars_a_million;
        assert!(at(100) > at(1_000) && at(1_000) > at(10_000), "{product:?}");
    }
}

#[test]
fn what_nobody_measured_is_not_called_measured() {
    for product in ProductPath::ALL {
        let estimate = estimate(product, 1_000, NOT_MEASURED);
        assert!(estimate.lines.iter().all(|line| line.basis != Basis::Measured), "{estimate:?}");
    }
}

#[test]
fn a_measured_figure_takes_the_place_of_a_derived_one_from_its_rate_on() {
    let row = Measured {
        product: ProductPath::Spot,
        events_per_second: 500,
        sqs_requests_thousandths: Some(2_000),
        service_cpu_micros: None,
    };
    let of = |product, rate| line(&estimate(product, rate, &[row]), "SQS FIFO requests");
    let measured = of(ProductPath::Spot, 1_000);
    assert_eq!(measured.basis, Basis::Measured);
    assert_eq!(measured.dollars_a_million, dollars("1.00"), "two requests of $0.50 a million");
    let polls = line(&estimate(ProductPath::Spot, 1_000, &[row]), "SQS empty polls, at most");
    assert_eq!((polls.basis, polls.dollars_a_month), (Basis::Measured, Decimal::ZERO));
    assert_eq!(of(ProductPath::Spot, 499).basis, Basis::Derived);
    assert_eq!(of(ProductPath::Perpetual, 1_000).basis, Basis::Derived);
    let tasks = line(&estimate(ProductPath::Spot, 1_000, &[row]), "Fargate tasks");
    assert_eq!(tasks.basis, Basis::Assumed, "its processor time was not measured");
}

#[test]
fn measured_processor_time_decides_the_tasks() {
    let row = |micros| Measured {
        product: ProductPath::Spot,
        events_per_second: 100,
        sqs_requests_thousandths: None,
        service_cpu_micros: Some(micros),
    };
    let tasks =
        |micros| line(&estimate(ProductPath::Spot, 10_000, &[row(micros)]), "Fargate tasks");
    let (small, large) = (tasks(50), tasks(1_000));
    assert_eq!((small.basis, large.basis), (Basis::Measured, Basis::Measured));
    // 10,000 × 50 µs is half a processor, one at half its power; 10,000 × 1 ms are ten, so twenty.
    assert_eq!(small.quantity, "4 tasks of 0.5 vCPU, 1 GB");
    assert_eq!(large.quantity, "10 tasks of 4 vCPU, 8 GB");
}

#[test]
fn at_one_event_a_second_nothing_is_shared() {
    let spot = estimate(ProductPath::Spot, 1, NOT_MEASURED);
    // One batch in 40,000 holds another event.
    assert_eq!(line(&spot, "SQS FIFO requests").quantity, "9 an event");
    assert_eq!(line(&spot, "DynamoDB claims").quantity, "1 write units an event");
}

#[test]
fn sqs_has_three_steps() {
    assert_eq!(tiered(dollars("2")), dollars("1"));
    assert_eq!(tiered(dollars("100000")), dollars("50000"));
    assert_eq!(tiered(dollars("100001")), dollars("50000.40"));
    assert_eq!(tiered(dollars("200001")), dollars("90000.35"));
}

#[test]
fn a_month_is_730_hours_of_every_instance() {
    let instances = line(&estimate(ProductPath::Spot, 100, NOT_MEASURED), "Aurora instances");
    assert_eq!(instances.quantity, "4 × db.r6g.large, Standard");
    assert_eq!(instances.dollars_a_month, dollars("759.20"), "4 × 730 × $0.26");
}
