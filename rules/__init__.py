"""Pure decisions of Tropa: standard library only; time, randomness and facts come in as arguments."""
