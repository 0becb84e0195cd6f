/** A text that is no expression of the language. Caught inside this folder; callers get it as data. */
export interface ExpressionFault {
  readonly message: string;
  /** Offset from 0 in the text parsed. */
  readonly at: number;
  readonly suggestion?: string;
  /** The expression is sound, but may not read secrets here. */
  readonly isMisplacedSecret?: true;
}

export class ParseFault extends Error {
  constructor(
    message: string,
    readonly at: number,
    readonly suggestion?: string,
    readonly isMisplacedSecret = false,
  ) {
    super(message);
    this.name = 'ParseFault';
  }

  toFault(): ExpressionFault {
    return {
      message: this.message,
      at: this.at,
      ...(this.suggestion === undefined ? {} : { suggestion: this.suggestion }),
      ...(this.isMisplacedSecret ? { isMisplacedSecret: true } : {}),
    };
  }
}
