//! A shop in four regions whose counters rise with each order.

use std::f64::consts::TAU;

use serde_json::json;

use super::Step;
use crate::command::demo::random::Random;

const REGIONS: [(&str, f64); 4] =
    [("Africa", 0.5), ("Americas", 1.3), ("Asia", 1.7), ("Europe", 1.0)];
/// What is sold, how often for an order of another, and for how much.
const PRODUCTS: [(&str, f64, f64); 4] =
    [("Bells", 1.0, 48.0), ("Clappers", 0.4, 14.5), ("Frames", 0.25, 210.0), ("Wires", 1.6, 9.9)];

/// Orders of a second where both shares are 1, and seconds of a shortened day.
const ORDERS: f64 = 2.4;
const DAY: f64 = 300.0;

/// What one region has sold of one product.
#[derive(Clone, Copy, Debug, Default)]
struct Sold {
    orders: f64,
    euros: f64,
}

#[derive(Debug)]
pub(super) struct Shop {
    sold: [[Sold; PRODUCTS.len()]; REGIONS.len()],
    seconds: u32,
}

impl Shop {
    pub(super) fn new() -> Self {
        Self { sold: Default::default(), seconds: 0 }
    }

    /// Lets a second pass.
    pub(super) fn step(&mut self, random: &mut Random, out: &mut Step) {
        for (place, (region, busy)) in REGIONS.into_iter().enumerate() {
            // Each region's day begins at another time.
            let hour = f64::from(self.seconds) / DAY + place as f64 / REGIONS.len() as f64;
            let awake = 1.0 + 0.6 * (TAU * hour).sin();
            for (number, (product, liked, price)) in PRODUCTS.into_iter().enumerate() {
                let orders = (ORDERS * busy * liked * awake * 2.0 * random.share()).round();
                let sold = &mut self.sold[place][number];
                sold.orders += orders;
                sold.euros += (orders * price * (1.0 + 0.3 * random.noise())).round();
                let labels = json!({ "region": region, "product": product });
                out.sample("shop_orders_total", labels.clone(), sold.orders);
                out.sample("shop_revenue_euros_total", labels, sold.euros);
            }
        }
        self.seconds = self.seconds.wrapping_add(1);
    }
}
