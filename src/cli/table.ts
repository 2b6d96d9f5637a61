/** To the upper left corner of a terminal, and nothing below: before what is printed again and again. */
export const CLEAR_SCREEN = '\x1b[H\x1b[J';

/** Aligned columns that are printed as they come: wider values widen what follows. */
export interface Column<Row> {
  readonly heading: string;
  readonly value: (row: Row) => string;
  /** Numbers stand under one another. */
  readonly align?: 'right';
}

export class Table<Row> {
  readonly #columns: readonly Column<Row>[];
  readonly #widths: number[];
  #begun = false;

  constructor(columns: readonly Column<Row>[]) {
    this.#columns = columns;
    this.#widths = columns.map(({ heading }) => heading.length);
  }

  /** One line for each row, the headings before the first one. */
  format(rows: readonly Row[]): string {
    const cells = rows.map((row) => this.#columns.map(({ value }) => value(row)));
    for (const line of cells) line.forEach((cell, column) => (this.#widths[column] = Math.max(this.#widths[column]!, cell.length)));
    if (rows.length === 0) return '';
    const lines = this.#begun ? cells : [this.#columns.map(({ heading }) => heading), ...cells];
    this.#begun = true;
    return lines.map((line) => `${this.#line(line)}\n`).join('');
  }

  #line(cells: readonly string[]): string {
    const aligned = cells.map((cell, column) => (this.#columns[column]!.align === 'right' ? cell.padStart(this.#widths[column]!) : cell.padEnd(this.#widths[column]!)));
    return aligned.join('  ').trimEnd();
  }
}
