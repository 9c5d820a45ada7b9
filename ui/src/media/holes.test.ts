import { describe, expect, it, vi } from 'vitest';

import { colour, Holes, type Place, type Surveyor } from './holes';

interface FakeElement {
  place: Place;
}

const place = (more: Partial<Place> = {}): Place => ({
  x: 0, y: 0, width: 100, height: 50, key: 0, cover: false, mirrored: false, ...more,
});

function rig() {
  const asked: unknown[] = [];
  const invoke = async (command: string, args: unknown) => void asked.push([command, args]);
  let visible = true;
  let told = { changed: () => {}, hidden: () => {} };
  const settle: (() => void)[] = [];
  const fake = (element: HTMLElement) => element as unknown as FakeElement;
  const surveyor: Surveyor = {
    visible: () => visible,
    watch: vi.fn(),
    unwatch: vi.fn(),
    place: (element) => fake(element).place,
    settled: (then) => void settle.push(then),
  };
  const holes = new Holes({ invoke: invoke as never }, (changed, hidden) => {
    told = { changed, hidden };
    return surveyor;
  });
  return {
    holes,
    element: (more?: Partial<Place>) => ({ place: place(more) }) as unknown as HTMLElement & FakeElement,
    settle: () => settle.splice(0).forEach((then) => then()),
    resized: () => told.changed(),
    hide(hidden: boolean) {
      visible = !hidden;
      if (hidden) told.hidden();
      else told.changed();
    },
    /** The holes that the shell was told of since this was asked last. */
    told: () => asked.splice(0).map((ask) => (ask as [string, { holes: unknown }])[1].holes),
  };
}

describe('holes', () => {
  it('are told once they are laid out', () => {
    const { holes, element, settle, told } = rig();
    holes.open(element(), 'theirs');
    holes.open(element(), 'own');
    expect(told()).toEqual([]);
    settle();
    expect(told()).toEqual([[{ id: 1, stream: 'theirs', ...place() }, { id: 2, stream: 'own', ...place() }]]);
  });

  it('are told again when they move, and only then', () => {
    const { holes, element, settle, resized, told } = rig();
    const picture = element();
    holes.open(picture, 's');
    settle();
    told();
    resized();
    settle();
    expect(told()).toEqual([]);
    picture.place = place({ x: 10 });
    resized();
    resized();
    settle();
    expect(told()).toEqual([[{ id: 1, stream: 's', ...place({ x: 10 }) }]]);
  });

  it('close when they are closed, have no size, or nobody sees the page', () => {
    const { holes, element, settle, hide, told } = rig();
    const close = holes.open(element(), 's');
    holes.open(element({ width: 0 }), 'nowhere');
    settle();
    expect(told()).toEqual([[{ id: 1, stream: 's', ...place() }]]);
    hide(true);
    expect(told()).toEqual([[]]);
    hide(false);
    settle();
    expect(told()).toHaveLength(1);
    close();
    settle();
    expect(told()).toEqual([[]]);
  });
});

it.each([
  ['rgb(10, 14, 18)', 0x0a0e12],
  ['rgba(255, 0, 1, 1)', 0xff0001],
  ['transparent', 0],
])('the colour %s', (css, number) => {
  expect(colour(css)).toBe(number);
});
