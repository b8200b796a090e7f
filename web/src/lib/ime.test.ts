import { describe, expect, it } from 'vitest';
import { Composition, type KeyLike } from './ime';

const key = (over: Partial<KeyLike> = {}): KeyLike => ({
  key: 'Enter',
  keyCode: 13,
  shiftKey: false,
  ctrlKey: false,
  metaKey: false,
  altKey: false,
  isComposing: false,
  ...over,
});

describe('Enter and input methods', () => {
  it('sends on a plain Enter, and with Ctrl or Cmd', () => {
    const ime = new Composition();
    expect(ime.sends(key(), 0)).toBe(true);
    expect(ime.sends(key({ ctrlKey: true }), 0)).toBe(true);
    expect(ime.sends(key({ metaKey: true }), 0)).toBe(true);
  });

  it('breaks the line on Shift+Enter and ignores other keys', () => {
    const ime = new Composition();
    expect(ime.sends(key({ shiftKey: true }), 0)).toBe(false);
    expect(ime.sends(key({ key: 'a', keyCode: 65 }), 0)).toBe(false);
  });

  it('does not send while pinyin is being composed', () => {
    const ime = new Composition();
    ime.start();
    expect(ime.sends(key(), 0)).toBe(false);
  });

  it('believes the browser where it says so itself', () => {
    const ime = new Composition();
    expect(ime.sends(key({ isComposing: true }), 0)).toBe(false);
    expect(ime.sends(key({ keyCode: 229 }), 0)).toBe(false);
  });

  it('does not send with the Enter that ended a composition (Safari), but with the next', () => {
    const ime = new Composition();
    ime.start();
    ime.end(1000);
    expect(ime.sends(key(), 1001)).toBe(false);
    expect(ime.sends(key(), 1200)).toBe(true);
  });
});
