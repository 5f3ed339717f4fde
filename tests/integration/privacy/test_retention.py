"""What is older than its days goes, and only that."""

import os
from datetime import timedelta
from pathlib import Path

from psycopg.types.json import Jsonb

from engage_pipeline.clock import utc_now
from engage_pipeline.privacy.retention import apply_retention
from engage_pipeline.settings import Settings
from tests.integration.ledger_world import World, flow_of


async def test_old_requests_rows_and_files_go_and_the_facts_stay(world: World, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    world.apply(flow_of("email"))
    world.contact()
    await world.settle()
    for status, line in (("loaded", 2), ("held", 3)):
        upload = world.insert(
            "lead_uploads", user_id=world.tenant.user_id, file_name="a.csv", inbox_path=f"{line}.csv", status=status,
            finished_at=utc_now(), rows_read=1, rows_rejected=1,
        )  # fmt: skip
        world.connection.execute(
            "insert into rejected_rows (upload_id, line_number, raw_row, reason_code, reason)"
            " values (%s, %s, %s, 'no_identity', 'why')",
            [upload, line, Jsonb(["x"])],
        )
    files = [tmp_path / shelf / "acme" / "a.csv" for shelf in ("processed", "refused", "held", "inbox")]
    for file in files:
        file.parent.mkdir(parents=True)
        file.write_text("Email\nben@example.com\n")
        # A copy keeps the modification time of its original; that one was put here today counts.
        os.utime(file, (0, 0))

    world.connection.execute(
        "insert into idempotency_keys (user_id, key, request_sha256) values (%s, 'key', '')", [world.tenant.user_id]
    )
    assert set(apply_retention(world.connection, settings, now=utc_now()).as_counts().values()) == {0}
    later = utc_now() + timedelta(days=91)
    report = apply_retention(world.connection, settings, now=later)
    assert (report.rejected_row_count, report.log_count, report.file_count) == (1, 0, 2)
    assert [file.exists() for file in files] == [False, False, True, True]
    assert report.api_answer_count == 1
    rows = world.connection.execute("select line_number, raw_row, reason from rejected_rows order by 1").fetchall()
    assert rows == [(2, [], "why"), (3, ["x"], "why")]

    assert apply_retention(world.connection, settings, now=utc_now() + timedelta(days=366)).log_count == 1
    log = world.only_log()
    assert (log.status, log.outcome, log.request, log.result_data) == ("success", "accepted", None, {})
