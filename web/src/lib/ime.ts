// Enter sends, but never while an input method is composing: there, Enter picks the candidate.

export interface KeyLike {
  key: string;
  keyCode: number;
  shiftKey: boolean;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
  isComposing: boolean;
}

/** Follows composition, including Safari, which ends it just before the Enter that ended it arrives. */
export class Composition {
  private active = false;
  private endedAt = Number.NEGATIVE_INFINITY;

  start(): void {
    this.active = true;
  }

  end(now: number): void {
    this.active = false;
    this.endedAt = now;
  }

  /** Whether this key belongs to the input method. */
  owns(event: KeyLike, now: number): boolean {
    // 229 is what browsers report for a key that the input method has taken.
    return this.active || event.isComposing || event.keyCode === 229 || now - this.endedAt < 30;
  }

  /** Whether this key press sends the message. */
  sends(event: KeyLike, now: number): boolean {
    if (event.key !== 'Enter' || event.shiftKey || event.altKey) return false;
    return !this.owns(event, now);
  }
}
