"""The journal: whole lines, torn lines, compaction."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packager.journal import JournalReader, JournalWriter
from packager.records import EndRecord, PartRecord, Record, decode_record, encode_record


def part(number: int, rendition: str = "720p") -> PartRecord:
    return PartRecord(rendition=rendition, msn=number, part=0, duration_s=0.5, independent=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def test_a_reader_gets_each_record_once(path: Path) -> None:
    writer, reader = JournalWriter(path), JournalReader(path)
    writer.append(part(0), part(1))
    assert reader.poll() == (True, [part(0), part(1)])
    writer.append(EndRecord())
    assert reader.poll() == (False, [EndRecord()])
    assert reader.poll() == (False, [])


def test_a_torn_last_line_waits_for_its_rest(path: Path) -> None:
    line = encode_record(part(7))
    reader = JournalReader(path)
    for length in range(len(line)):
        path.write_bytes(encode_record(part(0)) + line[:length])
        assert reader.poll() == (length == 0, [part(0)] if length == 0 else [])
    path.write_bytes(encode_record(part(0)) + line)
    assert reader.poll() == (False, [part(7)])


def keep_from(number: int) -> Callable[[Record], bool]:
    return lambda record: isinstance(record, PartRecord) and record.msn >= number


def parts_of(records: Iterable[Record]) -> list[Record]:
    return [record for record in records if isinstance(record, PartRecord)]


def test_a_reader_who_was_up_to_date_goes_on_after_compaction(path: Path) -> None:
    writer, reader = JournalWriter(path, compact_at_least_lines=10), JournalReader(path)
    writer.append(*map(part, range(10)))
    reader.poll()
    writer.compact(keep_from(8))
    assert reader.poll() == (False, [])
    writer.append(part(10))
    assert reader.poll() == (False, [part(10)])
    assert [file.name for file in path.parent.iterdir()] == ["journal.jsonl"]


def test_a_reader_who_was_late_goes_on_where_nothing_of_the_rest_is_dropped_and_starts_over_else(path: Path) -> None:
    for read, anew in ((9, False), (8, False), (7, True), (0, True)):
        path.unlink(missing_ok=True)
        writer, reader = JournalWriter(path, compact_at_least_lines=10), JournalReader(path)
        writer.append(*map(part, range(read)))
        reader.poll()
        writer.append(*map(part, range(read, 10)))
        writer.compact(keep_from(8))
        writer.append(part(10))
        expected = [part(number) for number in range(8 if anew else read, 11)]
        found_anew, records = reader.poll()
        assert (found_anew, parts_of(records)) == (anew, expected)
        writer.close()


def test_a_reader_of_an_older_file_starts_over(path: Path) -> None:
    writer, reader = JournalWriter(path, compact_at_least_lines=10), JournalReader(path)
    writer.append(*map(part, range(10)))
    reader.poll()
    for first in (10, 20):
        writer.compact(keep_from(first - 2))
        writer.append(*map(part, range(first, first + 10)))
    anew, records = reader.poll()
    assert anew and parts_of(records) == [part(number) for number in range(18, 30)]


def test_a_writer_that_goes_on_with_a_rewritten_journal_compacts_it_again(path: Path) -> None:
    writer = JournalWriter(path, compact_at_least_lines=10)
    writer.append(*map(part, range(10)))
    writer.compact(keep_from(8))
    writer.close()
    writer = JournalWriter(path, compact_at_least_lines=10)
    writer.append(*map(part, range(10, 20)))
    writer.compact(keep_from(18))
    _anew, records = JournalReader(path).poll()
    assert parts_of(records) == [part(18), part(19)]
    assert path.read_bytes().count(b"rewritten") == 1


@given(st.lists(st.sampled_from(["append", "append many", "compact", "poll", "reopen"]), max_size=60))
def test_whoever_reads_when_has_all_that_is_wanted_once(steps: list[str]) -> None:
    with TemporaryDirectory() as directory:
        path = Path(directory) / "journal.jsonl"
        writer, reader = JournalWriter(path, compact_at_least_lines=8), JournalReader(path)
        written, wanted_from, known = 0, 0, list[Record]()
        for step in [*steps, "poll"]:
            if step.startswith("append"):
                count = 1 if step == "append" else 7
                writer.append(*map(part, range(written, written + count)))
                written += count
            elif step == "compact":
                wanted_from = max(wanted_from, written - 4)
                writer.compact(keep_from(wanted_from))
            elif step == "reopen":
                writer.close()
                writer = JournalWriter(path, compact_at_least_lines=8)
            else:
                anew, records = reader.poll()
                known = [*([] if anew else known), *parts_of(records)]
                numbers = [record.msn for record in known if isinstance(record, PartRecord)]
                assert numbers == sorted(set(numbers))
                assert set(range(wanted_from, written)) <= set(numbers)
        writer.close()


def test_a_journal_is_compacted_only_when_that_halves_it(path: Path) -> None:
    writer, reader = JournalWriter(path, compact_at_least_lines=10), JournalReader(path)
    writer.append(*map(part, range(9)))
    reader.poll()
    writer.compact(lambda record: False)
    assert reader.poll() == (False, [])
    writer.append(part(9))
    writer.compact(lambda record: True)
    assert reader.poll() == (False, [part(9)])
    writer.compact(lambda record: pytest.fail("a journal just looked through is left alone until it has doubled"))


def test_many_threads_append_whole_lines_while_the_journal_is_compacted(path: Path) -> None:
    writer = JournalWriter(path, compact_at_least_lines=50)

    def write(name: str) -> None:
        for number in range(200):
            writer.append(part(number, name))
            writer.compact(lambda record: isinstance(record, PartRecord) and record.msn >= 190)

    threads = [threading.Thread(target=write, args=(f"r{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    _anew, records = JournalReader(path).poll()
    seen: dict[str, list[int]] = {}
    for record in parts_of(records):
        assert isinstance(record, PartRecord)
        seen.setdefault(record.rendition, []).append(record.msn)
    assert sorted(seen) == [f"r{n}" for n in range(6)]
    for numbers in seen.values():
        assert numbers == sorted(set(numbers)) and numbers[-10:] == list(range(190, 200))


def test_no_journal_is_file_not_found(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        JournalReader(path).poll()


@pytest.mark.parametrize(
    "line",
    [b"", b"{", b"[]", b"7", b"null", b"\xff\xfe", b"{}", b'{"type":"later"}', b'{"type":[]}', b'{"type":"part"}',
     b'{"type":"end","extra":1}'],
)  # fmt: skip
def test_a_line_that_is_no_record_is_a_value_error(path: Path, line: bytes) -> None:
    path.write_bytes(line + b"\n")
    with pytest.raises(ValueError):
        JournalReader(path).poll()


@given(st.text(max_size=20), st.integers(0, 10**12), st.floats(0, 100), st.booleans())
def test_records_survive_the_journal(name: str, number: int, duration_s: float, independent: bool) -> None:
    record = PartRecord(rendition=name, msn=number, part=3, duration_s=duration_s, independent=independent)
    line = encode_record(record)
    assert line.count(b"\n") == 1
    assert decode_record(line) == record
