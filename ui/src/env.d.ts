/// <reference types="vite/client" />

/** Whether this build may be driven by a test backend or by a scripted scenario. False in what is shipped. */
declare const __TEST_BUILD__: boolean;
