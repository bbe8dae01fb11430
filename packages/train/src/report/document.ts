/** A curve. The colour and the dash tell it from the others: use them for two properties of a run, such as its layer and its block. */
export interface ChartSeries {
  readonly label: string;
  /** x ascending; points whose y is not finite are left out. */
  readonly points: readonly (readonly [x: number, y: number])[];
  /** 0 to 5. */
  readonly color: number;
  /** 0 solid, 1 dashed, 2 dotted. */
  readonly dash?: number;
  /** Draws the mean of so many points, with their range faintly behind it. Default 1: the points themselves. */
  readonly smooth?: number;
}

/** A horizontal line to compare with: chance, a baseline. */
export interface ChartMark {
  readonly value: number;
  readonly label: string;
}

export type ReportBlock =
  | { readonly kind: 'text'; readonly text: string }
  /** The one thing to take away. */
  | { readonly kind: 'finding'; readonly tone: 'good' | 'plain' | 'warning'; readonly text: string }
  | {
      readonly kind: 'lines';
      readonly title: string;
      readonly xLabel: string;
      readonly yLabel: string;
      readonly series: readonly ChartSeries[];
      readonly marks?: readonly ChartMark[];
      /** Ends of the y axis; by default what the data needs. */
      readonly yRange?: readonly [number, number];
      readonly note?: string;
    }
  | {
      readonly kind: 'bars';
      readonly title: string;
      readonly bars: readonly {
        readonly label: string;
        readonly value: number;
        readonly shown: string;
        readonly color: number;
        readonly dash?: number;
      }[];
      /** End of the axis; by default the largest value. */
      readonly maximum?: number;
      readonly marks?: readonly ChartMark[];
      readonly note?: string;
    }
  | {
      readonly kind: 'table';
      readonly columns: readonly { readonly label: string; readonly align?: 'left' | 'right' }[];
      readonly rows: readonly (readonly string[])[];
      /** Rows to set off. */
      readonly strong?: readonly number[];
      readonly note?: string;
    }
  /** Generated text, after the prompt it went on from. */
  | { readonly kind: 'sample'; readonly prompt: string; readonly text: string; readonly note?: string }
  | { readonly kind: 'facts'; readonly facts: readonly (readonly [name: string, value: string])[] }
  /** Folded until asked for. */
  | { readonly kind: 'details'; readonly summary: string; readonly text: string };

export interface ReportSection {
  readonly title: string;
  readonly blocks: readonly ReportBlock[];
}

/** A report as a page: what `renderReport` turns into one HTML file. */
export interface ReportDocument {
  readonly title: string;
  /** A sentence or two under the title. */
  readonly lead: string;
  /** Set in front of everything, for a report that was cut short. */
  readonly warning?: string;
  /** In small print under the lead: seed, device, date. */
  readonly facts: readonly (readonly [name: string, value: string])[];
  readonly sections: readonly ReportSection[];
}
