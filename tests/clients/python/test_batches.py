"""OpenAI's Python SDK against a real suite: files and batches."""
import io
import json
import time

import openai
import pytest


def lines(model, count, endpoint="/v1/chat/completions"):
    for i in range(count):
        if endpoint == "/v1/embeddings":
            body = {"model": model, "input": f"number {i}"}
        else:
            body = {"model": model, "messages": [{"role": "user", "content": f"Say the number {i}."}], "max_tokens": 4, "temperature": 0}
        yield json.dumps({"custom_id": f"line-{i}", "method": "POST", "url": endpoint, "body": body}) + "\n"


def upload(client, text, name="in.jsonl"):
    return client.files.create(file=(name, io.BytesIO(text.encode())), purpose="batch")


def wait(client, batch, until=("completed", "failed", "expired", "cancelled"), secs=240):
    deadline = time.monotonic() + secs
    while batch.status not in until:
        assert time.monotonic() < deadline, batch
        time.sleep(0.3)
        batch = client.batches.retrieve(batch.id)
    return batch


def answers(client, file_id):
    return [json.loads(line) for line in client.files.content(file_id).text.splitlines()]


def test_files(client):
    text = '{"问": 1}\n' * 1000
    file = upload(client, text, "问题.jsonl")
    assert (file.object, file.purpose, file.filename, file.bytes) == ("file", "batch", "问题.jsonl", len(text.encode()))
    assert abs(file.created_at - time.time()) < 300 and file.status == "processed"
    assert client.files.retrieve(file.id) == file
    assert client.files.content(file.id).read() == text.encode()
    assert file.id in [f.id for f in client.files.list(purpose="batch", limit=2)]
    gone = client.files.delete(file.id)
    assert gone.deleted and gone.id == file.id
    with pytest.raises(openai.NotFoundError):
        client.files.content(file.id)
    with pytest.raises(openai.BadRequestError) as error:
        client.files.create(file=b"x", purpose="homework")
    assert error.value.param == "purpose"


def test_pages_of_files(client):
    made = [upload(client, f"{i}\n").id for i in range(5)]
    listed = [f.id for f in client.files.list(limit=2, order="asc") if f.id in made]
    assert listed == made
    assert [f.id for f in client.files.list(limit=2) if f.id in made] == made[::-1]
    for file_id in made:
        client.files.delete(file_id)


def test_batch(client, model):
    input_file = upload(client, "".join(lines(model, 12)))
    batch = client.batches.create(input_file_id=input_file.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"run": "一"})
    assert batch.object == "batch" and batch.status == "validating" and batch.metadata == {"run": "一"}
    batch = wait(client, batch)
    assert batch.status == "completed", batch
    assert (batch.request_counts.total, batch.request_counts.completed, batch.request_counts.failed) == (12, 12, 0)
    assert batch.created_at <= batch.in_progress_at <= batch.completed_at and batch.error_file_id is None
    found = answers(client, batch.output_file_id)
    assert [a["custom_id"] for a in found] == [f"line-{i}" for i in range(12)]
    for answer in found:
        assert answer["response"]["status_code"] == 200 and answer["error"] is None
        assert answer["response"]["body"]["choices"][0]["message"]["content"]
    assert client.files.retrieve(batch.output_file_id).purpose == "batch_output"


def test_lines_that_fail_are_in_a_file_of_their_own(client, model):
    good, bad = list(lines(model, 2)), list(lines("no-such-model", 1))
    bad = [line.replace("line-0", "bad") for line in bad]
    batch = client.batches.create(input_file_id=upload(client, "".join(good[:1] + bad + good[1:])).id, endpoint="/v1/chat/completions", completion_window="24h")
    batch = wait(client, batch)
    assert batch.status == "completed" and (batch.request_counts.completed, batch.request_counts.failed) == (2, 1)
    assert [a["custom_id"] for a in answers(client, batch.output_file_id)] == ["line-0", "line-1"]
    (error,) = answers(client, batch.error_file_id)
    assert error["custom_id"] == "bad" and error["response"]["status_code"] == 404


def test_a_bad_line_fails_the_batch(client, model):
    text = "".join(lines(model, 2)) + "no JSON\n"
    batch = wait(client, client.batches.create(input_file_id=upload(client, text).id, endpoint="/v1/chat/completions", completion_window="24h"))
    assert batch.status == "failed" and batch.failed_at and batch.output_file_id is None
    assert [e.line for e in batch.errors.data] == [3]


def test_cancel(client, model):
    batch = client.batches.create(input_file_id=upload(client, "".join(lines(model, 3000))).id, endpoint="/v1/chat/completions", completion_window="24h")
    batch = wait(client, batch, until=("in_progress", "completed", "failed"))
    assert batch.status == "in_progress", batch
    asked = time.monotonic()
    batch = client.batches.cancel(batch.id)
    assert batch.status in ("cancelling", "cancelled") and batch.cancelling_at
    batch = wait(client, batch, secs=30)
    assert batch.status == "cancelled" and batch.cancelled_at and time.monotonic() - asked < 10
    with pytest.raises(openai.ConflictError):
        client.batches.cancel(batch.id)


def test_list(client, model):
    made = [client.batches.create(input_file_id=upload(client, "".join(lines(model, 1))).id, endpoint="/v1/chat/completions", completion_window="24h").id for _ in range(3)]
    listed = [b.id for b in client.batches.list(limit=2) if b.id in made]
    assert listed == made[::-1]
    for batch_id in made:
        assert wait(client, client.batches.retrieve(batch_id)).status == "completed"


def test_errors(client):
    with pytest.raises(openai.NotFoundError):
        client.batches.create(input_file_id="file-none", endpoint="/v1/chat/completions", completion_window="24h")
    with pytest.raises(openai.NotFoundError):
        client.batches.retrieve("batch_none")
    with pytest.raises(openai.BadRequestError) as error:
        client.batches.create(input_file_id=upload(client, "x").id, endpoint="/v1/audio/speech", completion_window="24h")
    assert error.value.param == "endpoint"
