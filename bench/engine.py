"""An external engine that answers at once: OpenAI's protocol, no model behind it."""
import asyncio
import json
import threading
import time

NAME = "echo"


class Engine:
    model = NAME

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        ready = threading.Event()

        def run() -> None:
            asyncio.set_event_loop(self.loop)
            server = self.loop.run_until_complete(asyncio.start_server(self.serve, "127.0.0.1", 0))
            self.port = server.sockets[0].getsockname()[1]
            ready.set()
            self.loop.run_forever()

        threading.Thread(target=run, daemon=True).start()
        ready.wait()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def serve(self, reader, writer) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                lines = head.split("\r\n")
                fields = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:] if ":" in line)}
                body = await reader.readexactly(int(fields.get("content-length", 0)))
                if "/models" in lines[0]:
                    answer = {"object": "list", "data": [{"id": NAME, "object": "model", "created": 0, "owned_by": "bench"}]}
                    await self.send(writer, "application/json", json.dumps(answer))
                    continue
                await self.answer(writer, json.loads(body))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def answer(self, writer, request: dict) -> None:
        text = request["messages"][-1]["content"]
        usage = {"prompt_tokens": len(text), "completion_tokens": 1, "total_tokens": len(text) + 1}
        base = {"id": "chatcmpl-bench", "created": int(time.time()), "model": NAME}
        if not request.get("stream"):
            choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            await self.send(writer, "application/json", json.dumps(base | {"object": "chat.completion", "choices": [choice], "usage": usage}))
            return
        piece = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None}
        last = {"index": 0, "delta": {}, "finish_reason": "stop"}
        chunks = [base | {"object": "chat.completion.chunk", "choices": [piece]}, base | {"object": "chat.completion.chunk", "choices": [last]}]
        if (request.get("stream_options") or {}).get("include_usage"):
            chunks.append(base | {"object": "chat.completion.chunk", "choices": [], "usage": usage})
        await self.send(writer, "text/event-stream", "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n")

    @staticmethod
    async def send(writer, kind: str, text: str) -> None:
        body = text.encode()
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
