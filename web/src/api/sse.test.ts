import { describe, expect, it } from 'vitest';
import { SseParser, sseEvents } from './sse';

function all(pieces: string[]) {
  const parser = new SseParser();
  return pieces.flatMap((piece) => parser.push(piece));
}

describe('event stream', () => {
  it('reads fields, comments, line ends of all kinds and a byte order mark', () => {
    expect(all(['\uFEFF: hi\r\nevent: x\r\ndata:a\rdata: b\n\nid: 1\n\n'])).toEqual([{ event: 'x', data: 'a\nb' }]);
  });

  it('gives the same events however the stream is cut', () => {
    const stream =
      'data: {"a":1}\r\n\r\n: keep alive\n\nevent: done\ndata: 第一行\ndata:  two\n\ndata\n\ndata: [DONE]\n\n';
    const whole = all([stream]);
    expect(whole.map((e) => e.data)).toEqual(['{"a":1}', '第一行\n two', '', '[DONE]']);
    for (let size = 1; size < 12; size += 1) {
      const pieces: string[] = [];
      for (let at = 0; at < stream.length; at += size) pieces.push(stream.slice(at, at + size));
      expect(all(pieces)).toEqual(whole);
    }
  });

  it('drops an event that the stream did not finish', () => {
    expect(all(['data: a\n\ndata: cut'])).toEqual([{ event: 'message', data: 'a' }]);
  });

  it('joins characters whose bytes are cut apart', async () => {
    const bytes = new TextEncoder().encode('data: 日新🌞\n\n');
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const byte of bytes) controller.enqueue(new Uint8Array([byte]));
        controller.close();
      },
    });
    const events = [];
    for await (const event of sseEvents(body)) events.push(event);
    expect(events).toEqual([{ event: 'message', data: '日新🌞' }]);
  });

  it('cancels the request when the reader leaves', async () => {
    let cancelled = false;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        controller.enqueue(new TextEncoder().encode('data: a\n\n'));
      },
      cancel() {
        cancelled = true;
      },
    });
    for await (const _ of sseEvents(body)) break;
    expect(cancelled).toBe(true);
  });

  it('refuses an endless line', () => {
    expect(() => all(['x'.repeat((8 << 20) + 1)])).toThrow();
  });
});
