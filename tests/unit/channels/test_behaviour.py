"""The demo's luck: the same for the same seed, and about as often as it says."""

from engage_pipeline.channels.sandbox.behaviour import Behaviour

ADDRESSES = [f"+1555{number:07d}" for number in range(5000)]


def share(behaviour, name):
    return sum(getattr(behaviour.conduct(address), name) for address in ADDRESSES) / len(ADDRESSES)


def test_the_shares_are_about_what_they_say():
    behaviour = Behaviour(dropped_share=0.5)
    assert abs(share(behaviour, "is_refused") - 0.06) < 0.015
    assert abs(share(behaviour, "is_deferred_once") - 0.02) < 0.01
    assert abs(share(behaviour, "is_dropped_after_acceptance") - 0.5) < 0.03


def test_an_address_meets_the_same_under_one_seed_and_not_under_another():
    first, again, other = (
        [Behaviour(seed=seed, refused_share=0.5).conduct(address) for address in ADDRESSES] for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_nothing_and_everything_are_exact():
    never = Behaviour(refused_share=0, deferred_share=0)
    always = Behaviour(refused_share=1, deferred_share=1, dropped_share=1)
    assert {never.conduct(address) for address in ADDRESSES} == {type(never.conduct("x"))(False, False, False)}
    assert {always.conduct(address) for address in ADDRESSES} == {type(never.conduct("x"))(True, True, True)}
