"""What ``count_round_trips`` counts. test_round_trips.py asserts how many each engine makes."""

import time

from cookieproj.engines.round_trips import RoundTrips, count_round_trips, round_trip

from .contract import Engine, on_engines

pytestmark = on_engines(lambda engine: engine.ours)


def test_round_trips_of_each_server_engine_are_counted_and_timed(engine: Engine) -> None:
    start = time.perf_counter()
    with count_round_trips() as round_trips:
        session = engine.Store()
        session["a"] = 1
        session.save()
    elapsed = time.perf_counter() - start
    assert bool(round_trips.number) == engine.on_server
    assert (0 < round_trips.seconds < elapsed) == engine.on_server


def test_round_trips_after_the_block_are_not_counted(engine: Engine) -> None:
    with count_round_trips() as round_trips:
        pass
    engine.Store().save()
    assert round_trips.number == 0


def test_nested_round_trips_count_once(engine: Engine) -> None:
    with count_round_trips() as round_trips:
        with round_trip(), round_trip():
            pass
        with round_trip():
            pass
    assert round_trips.number == 2


def test_inner_block_counts_instead_of_the_outer_one(engine: Engine) -> None:
    def counts(*counters: RoundTrips) -> list[int]:
        return [round_trips.number for round_trips in counters]

    with count_round_trips() as outer:
        with count_round_trips() as inner, round_trip():
            pass
        with round_trip():
            pass
    assert counts(outer, inner) == [1, 1]
