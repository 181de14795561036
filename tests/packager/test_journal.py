"""The journal: whole lines, torn lines, compaction."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packager.journal import JournalReader, JournalWriter
from packager.records import EndRecord, PartRecord, decode_record, encode_record


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


def test_a_reader_starts_over_after_compaction(path: Path) -> None:
    writer, reader = JournalWriter(path, compact_at_least_lines=10), JournalReader(path)
    writer.append(*map(part, range(10)))
    reader.poll()
    writer.compact(lambda record: isinstance(record, PartRecord) and record.msn >= 8)
    writer.append(part(10))
    assert reader.poll() == (True, [part(8), part(9), part(10)])
    assert [file.name for file in path.parent.iterdir()] == ["journal.jsonl"]


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
    for record in records:
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
