// A page that fails while it is drawn is said to have failed; the frame around it stays.

import { Component, type ComponentChildren } from 'preact';
import { noteFault } from '../stores/faults.js';

interface BoundaryProps {
  /** What is drawn: another one is tried anew. */
  of: unknown;
  fallback: ComponentChildren;
  children: ComponentChildren;
}

export class Boundary extends Component<BoundaryProps, { failed: unknown }> {
  override state = { failed: null as unknown };

  override componentDidCatch(error: unknown): void {
    noteFault(error);
    this.setState({ failed: this.props.of });
  }

  override render({ of, fallback, children }: BoundaryProps) {
    return this.state.failed === of && of !== null ? fallback : children;
  }
}
