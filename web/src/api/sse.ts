// Server-sent events over fetch: EventSource can't carry an Authorization header.

export interface SseEvent {
  event: string;
  data: string;
}

const MAX_EVENT = 8 << 20;

/** Feed it text as it comes; it gives the events that are whole. */
export class SseParser {
  private rest = '';
  private scanned = 0;
  private event = '';
  private data: string[] = [];
  private first = true;

  push(text: string): SseEvent[] {
    let input = text;
    if (this.first && input.length > 0) {
      this.first = false;
      if (input.startsWith('\uFEFF')) input = input.slice(1);
    }
    this.rest += input;
    const events: SseEvent[] = [];
    for (;;) {
      const line = this.line();
      if (line === null) break;
      if (line === '') {
        if (this.data.length > 0) events.push({ event: this.event || 'message', data: this.data.join('\n') });
        this.event = '';
        this.data = [];
        continue;
      }
      if (line.startsWith(':')) continue;
      const colon = line.indexOf(':');
      const field = colon < 0 ? line : line.slice(0, colon);
      let value = colon < 0 ? '' : line.slice(colon + 1);
      if (value.startsWith(' ')) value = value.slice(1);
      if (field === 'data') this.data.push(value);
      else if (field === 'event') this.event = value;
    }
    if (this.rest.length > MAX_EVENT) throw new Error('an event of the stream is too long');
    return events;
  }

  /** A line without its end (LF, CR or CR LF); a CR at the end of what is there waits for its LF. */
  private line(): string | null {
    let end = this.scanned;
    while (end < this.rest.length) {
      const code = this.rest.charCodeAt(end);
      if (code === 10 || code === 13) break;
      end += 1;
    }
    const cr = this.rest.charCodeAt(end) === 13;
    if (end >= this.rest.length || (cr && end + 1 >= this.rest.length)) {
      this.scanned = end;
      return null;
    }
    const width = cr && this.rest.charCodeAt(end + 1) === 10 ? 2 : 1;
    const line = this.rest.slice(0, end);
    this.rest = this.rest.slice(end + width);
    this.scanned = 0;
    return line;
  }
}

/** The events of a response's body, until it ends. Leaving the loop cancels the request. */
export async function* sseEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<SseEvent> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const parser = new SseParser();
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      yield* parser.push(decoder.decode(value, { stream: true }));
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
