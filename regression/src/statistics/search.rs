//! Where a condition begins to hold, found on the numbers themselves: no tolerance, no derivative, at most 64
//! steps.

/// The least number from which on `holds` is true, if it is false below a point and true above it: exact to the last
/// bit. Zero is tried first, so that an answer above zero says that the condition does not hold at zero, whatever
/// rounding does elsewhere. Infinite where it always or never holds.
pub(super) fn first(mut holds: impl FnMut(f64) -> bool) -> f64 {
    let (mut fails, mut succeeds) = (order(f64::NEG_INFINITY), order(f64::INFINITY));
    while fails + 1 < succeeds {
        let middle = i64::midpoint(fails, succeeds);
        if holds(from_order(middle)) {
            succeeds = middle;
        } else {
            fails = middle;
        }
    }
    if succeeds == order(f64::NEG_INFINITY) + 1 {
        return f64::NEG_INFINITY;
    }
    from_order(succeeds)
}

/// The next number below a finite one.
pub(super) fn below(number: f64) -> f64 {
    if number.is_finite() {
        from_order(order(number) - 1)
    } else {
        number
    }
}

/// Numbers as integers in the same order.
fn order(number: f64) -> i64 {
    let bits = number.to_bits().cast_signed();
    bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
}

fn from_order(order: i64) -> f64 {
    let bits = order ^ ((order >> 63).cast_unsigned() >> 1).cast_signed();
    f64::from_bits(bits.cast_unsigned())
}
