/** What there is to tell of one URL of the application, in numbers since the start. */
export interface HookFigures {
  /** Requests that it answered as it should. */
  readonly taken: number;
  /** Requests that failed, or whose answer cannot be used. */
  readonly failed: number;
  /** Messages or events that wait for it now. */
  readonly waiting: number;
}

export interface EventsFigures extends HookFigures {
  /** Events that had to go, since too many waited. */
  readonly dropped: number;
}

/** What there is to tell of the webhooks; undefined for one that is not configured. */
export interface WebhookFigures {
  readonly beforeSend: HookFigures | undefined;
  readonly events: EventsFigures | undefined;
}
