//! Numbers whose code is always the same, until a day.

use mobile_bind_domain::bind::BindParameters;
use mobile_bind_domain::policy::TestNumber;
use mobile_bind_domain::{ClientType, Refusal, Timestamp, VerificationCode};
use proptest::prelude::*;

use crate::support::world::World;
use crate::support::{BIND, MOBILE, NOW, mobile};

proptest! {
    /// Until its day is over the one code binds, and nothing is sent; from then on nothing does.
    #[test]
    fn a_test_number_has_one_code_until_its_day_is_over(until in 0_u64..1200, at in 0_u64..1200, later in 0_u64..300) {
        let world = World::new();
        let code = VerificationCode::from_digits("82461357").unwrap();
        let until = Timestamp::from_seconds(NOW.as_seconds() + until);
        world.service.policy.change(|policy| { policy.test_numbers.insert(mobile(MOBILE), TestNumber { code, until }); });
        world.advance(at);
        let sent = world.send(MOBILE, "u");
        prop_assert_eq!(sent, if world.service.clock.now() < until { Ok(()) } else { Err(Refusal::TestNumberExpired) });
        world.advance(later);
        let is_good = world.service.clock.now() < until;
        let bound = world.bind(ClientType::H5, "u", &BindParameters { verify: "82461357", ..BIND });
        prop_assert!(world.ambience.outbox.lock().unwrap().is_empty());
        match bound {
            Ok(_) => prop_assert!(is_good),
            Err(refusal) => {
                prop_assert!(!is_good);
                prop_assert_eq!(refusal, Refusal::TestNumberExpired);
            }
        }
    }
}
