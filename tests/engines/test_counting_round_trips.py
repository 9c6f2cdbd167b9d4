"""What is counted of the way to a store. How many there are is told in test_round_trips.py."""

import time

from cookieproj.engines.round_trips import RoundTrips, count_round_trips, round_trip

from .contract import Engine, on_engines

pytestmark = on_engines(lambda engine: engine.ours)


def test_every_store_that_a_server_has_is_seen(engine: Engine) -> None:
    began = time.perf_counter()
    with count_round_trips() as trips:
        session = engine.Store()
        session["a"] = 1
        session.save()
    took = time.perf_counter() - began
    assert bool(trips.number) == engine.on_server
    assert (0 < trips.seconds < took) == engine.on_server


def test_who_does_not_watch_sees_nothing(engine: Engine) -> None:
    with count_round_trips() as trips:
        pass
    engine.Store().save()
    assert trips.number == 0


def test_one_inside_another_is_part_of_it(engine: Engine) -> None:
    with count_round_trips() as trips:
        with round_trip(), round_trip():
            pass
        with round_trip():
            pass
    assert trips.number == 2


def test_who_watches_inside_watches_alone(engine: Engine) -> None:
    def numbers(*seen: RoundTrips) -> list[int]:
        return [trips.number for trips in seen]

    with count_round_trips() as outer:
        with count_round_trips() as inner, round_trip():
            pass
        with round_trip():
            pass
    assert numbers(outer, inner) == [1, 1]
